// q5_1: 32 five-bit codes, their scale and minimum; value = d * q + m.
//
// Block of 24 bytes: f16 d, f16 m, u32 of the fifth bits (bit i of code i), then 16 bytes; byte i holds the low four
// bits of code i low and of code i + 16 high.
#pragma once
#include "bits.h"

FORMAT void decode_q5_1(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 24, out += 32) {
    float d = load_f16(block), m = load_f16(block + 2);
    uint32_t fifth = load_u32(block + 4);
    for (int i = 0; i < 16; i++) out[i] = d * (float)(int)((block[8 + i] & 15) | (fifth >> i & 1) << 4) + m;
    for (int i = 0; i < 16; i++) out[16 + i] = d * (float)(int)(block[8 + i] >> 4 | (fifth >> (16 + i) & 1) << 4) + m;
  }
}

FORMAT void encode_q5_1(const float *restrict values, int64_t count, void *restrict blocks) {
#pragma STDC FP_CONTRACT OFF
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 24, values += 32) {
    float low = range_low(values, 32), d = (range_high(values, 32) - low) / 31, inverse = inverse_of(d);
    uint32_t fifth = 0;
    for (int i = 0; i < 16; i++) {
      uint32_t first = (uint32_t)code_of_float((values[i] - low) * inverse + 0.5f, 31);
      uint32_t second = (uint32_t)code_of_float((values[16 + i] - low) * inverse + 0.5f, 31);
      block[8 + i] = (uint8_t)((first & 15) | (second & 15) << 4);
      fifth |= first >> 4 << i | second >> 4 << (16 + i);
    }
    store_u16(block, f16_of_float(d));
    store_u16(block + 2, f16_of_float(low));
    store_u32(block + 4, fifth);
  }
}

FORMAT void codes_q5_1(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_half(lines + HALF_LINE, row, block + 2);
  unpack_nibbles_and_bits(block + 8, load_u32(block + 4), codes);
}
