// q5_0: 32 five-bit codes around 16 and their scale; value = d * (q - 16).
//
// Block of 22 bytes: f16 d, u32 of the fifth bits (bit i of code i), then 16 bytes; byte i holds the low four bits of
// code i low and of code i + 16 high.
#pragma once
#include "bits.h"

FORMAT void decode_q5_0(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 22, out += 32) {
    float d = load_f16(block);
    uint32_t fifth = load_u32(block + 2);
    for (int i = 0; i < 16; i++) out[i] = d * (float)((int)((block[6 + i] & 15) | (fifth >> i & 1) << 4) - 16);
    for (int i = 0; i < 16; i++) out[16 + i] = d * (float)((int)(block[6 + i] >> 4 | (fifth >> (16 + i) & 1) << 4) - 16);
  }
}

FORMAT void encode_q5_0(const float *restrict values, int64_t count, void *restrict blocks) {
#pragma STDC FP_CONTRACT OFF
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 22, values += 32) {
    float d = peak_of(values, 32) / -16, inverse = inverse_of(d);
    uint32_t fifth = 0;
    for (int i = 0; i < 16; i++) {
      uint32_t low = (uint32_t)code_of_float(values[i] * inverse + 16.5f, 31);
      uint32_t high = (uint32_t)code_of_float(values[16 + i] * inverse + 16.5f, 31);
      block[6 + i] = (uint8_t)((low & 15) | (high & 15) << 4);
      fifth |= low >> 4 << i | high >> 4 << (16 + i);
    }
    store_u16(block, f16_of_float(d));
    store_u32(block + 2, fifth);
  }
}

FORMAT void codes_q5_0(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  unpack_nibbles_and_bits(block + 6, load_u32(block + 2), codes);
}
