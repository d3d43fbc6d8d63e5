// q8_0: 32 signed bytes and their scale; value = d * q.
//
// Block of 34 bytes: f16 d, then 32 int8 q in order.
#pragma once
#include "bits.h"

FORMAT void decode_q8_0(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 34, out += 32) {
    float d = load_f16(block);
    for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)block[2 + i] * d;
  }
}

FORMAT void encode_q8_0(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 34, values += 32) {
    float d = fabsf(peak_of(values, 32)) / 127, inverse = inverse_of(d);
    store_u16(block, f16_of_float(d));
    for (int i = 0; i < 32; i++) {
      float v = values[i] * inverse;
      int q = code_of_float(roundf(fabsf(v)), 127);
      block[2 + i] = (uint8_t)(v < 0 ? -q : q);
    }
  }
}

FORMAT void codes_q8_0(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  memcpy(codes, block + 2, 32);
}
