// f8_e4m3: FP8 with four exponent bits, no infinities; value = code * scale.
//
// One byte a value: sign, 4 exponent bits (bias 7), 3 mantissa bits; 0x7f and 0xff are NaN, the largest is 448.
#pragma once
#include "bits.h"

FORMAT void decode_f8_e4m3(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *code = blocks;
  for (int64_t i = 0; i < values; i++) out[i] = float_of_e4m3(code[i]) * scale;
}

/// 32 values; the scale is the plane's.
FORMAT void codes_f8_e4m3(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) { memcpy(codes, block, 32); }

/// Round to nearest even; larger values and infinities become 448, NaN stays NaN.
FORMAT void encode_f8_e4m3(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *code = blocks;
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = bits_of_float(values[i]), magnitude = bits & 0x7fffffff, sign = bits >> 24 & 0x80;
    uint32_t normal = ((magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20) - (120 << 3);
    uint32_t subnormal = bits_of_float(fabsf(values[i]) + 0x1p14f) - 0x46800000;
    uint32_t rounded = magnitude < 0x3c800000 ? subnormal : magnitude > 0x43e00000 ? 0x7e : normal;
    code[i] = (uint8_t)(sign | (magnitude > 0x7f800000 ? 0x7f : rounded));
  }
}
