// f8_e5m2: FP8 with five exponent bits, the upper half of an f16; value = code * scale.
//
// One byte a value: sign, 5 exponent bits (bias 15), 2 mantissa bits; 0x7c is infinity, the largest finite is 57344.
#pragma once
#include "bits.h"

FORMAT void decode_f8_e5m2(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *code = blocks;
  for (int64_t i = 0; i < values; i++) out[i] = float_of_f16((uint16_t)(code[i] << 8)) * scale;
}

/// Round to nearest even; larger finite values become 57344, infinities and NaN stay.
FORMAT void encode_f8_e5m2(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *code = blocks;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = bits_of_float(values[i]), magnitude = bits & 0x7fffffff, sign = bits >> 24 & 0x80;
    uint32_t normal = ((magnitude + 0xfffff + (magnitude >> 21 & 1)) >> 21) - (112 << 2);
    uint32_t subnormal = bits_of_float(fabsf(values[i]) + 0x1p7f) - 0x43000000;
    uint32_t rounded = magnitude < 0x38800000 ? subnormal : magnitude > 0x47600000 ? 0x7b : normal;
    code[i] = (uint8_t)(sign | (magnitude > 0x7f800000 ? 0x7e : magnitude == 0x7f800000 ? 0x7c : rounded));
  }
}
