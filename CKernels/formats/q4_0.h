// q4_0: 32 four-bit codes around 8 and their scale; value = d * (q - 8).
//
// Block of 18 bytes: f16 d, then 16 bytes; byte i holds code i low and code i + 16 high.
#pragma once
#include "bits.h"

FORMAT void decode_q4_0(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 18, out += 32) {
    float d = load_f16(block);
    AS_VECTORS
    for (int i = 0; i < 16; i++) out[i] = d * (float)((block[2 + i] & 15) - 8);
    AS_VECTORS
    for (int i = 0; i < 16; i++) out[16 + i] = d * (float)((block[2 + i] >> 4) - 8);
  }
}

FORMAT void encode_q4_0(const float *restrict values, int64_t count, void *restrict blocks) {
#pragma STDC FP_CONTRACT OFF
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 18, values += 32) {
    float d = peak_of(values, 32) / -8, inverse = inverse_of(d);
    store_u16(block, f16_of_float(d));
    for (int i = 0; i < 16; i++) {
      int low = code_of_float(values[i] * inverse + 8.5f, 15), high = code_of_float(values[16 + i] * inverse + 8.5f, 15);
      block[2 + i] = (uint8_t)(low | high << 4);
    }
  }
}

FORMAT void codes_q4_0(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  unpack_nibbles(block + 2, codes);
}
