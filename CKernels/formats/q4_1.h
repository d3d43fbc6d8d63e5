// q4_1: 32 four-bit codes, their scale and minimum; value = d * q + m.
//
// Block of 20 bytes: f16 d, f16 m, then 16 bytes; byte i holds code i low and code i + 16 high.
#pragma once
#include "bits.h"

FORMAT void decode_q4_1(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 20, out += 32) {
    float d = load_f16(block), m = load_f16(block + 2);
    AS_VECTORS
    for (int i = 0; i < 16; i++) out[i] = d * (float)(block[4 + i] & 15) + m;
    AS_VECTORS
    for (int i = 0; i < 16; i++) out[16 + i] = d * (float)(block[4 + i] >> 4) + m;
  }
}

FORMAT void encode_q4_1(const float *restrict values, int64_t count, void *restrict blocks) {
#pragma STDC FP_CONTRACT OFF
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 20, values += 32) {
    float low = range_low(values, 32), d = (range_high(values, 32) - low) / 15, inverse = inverse_of(d);
    store_u16(block, f16_of_float(d));
    store_u16(block + 2, f16_of_float(low));
    for (int i = 0; i < 16; i++) {
      int first = code_of_float((values[i] - low) * inverse + 0.5f, 15);
      int second = code_of_float((values[16 + i] - low) * inverse + 0.5f, 15);
      block[4 + i] = (uint8_t)(first | second << 4);
    }
  }
}

FORMAT void codes_q4_1(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_half(lines + HALF_LINE, row, block + 2);
  unpack_nibbles(block + 4, codes);
}
