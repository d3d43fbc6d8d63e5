// e2m1: FP4, four-bit floats 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives; value = code * scale.
//
// Two values a byte, the first low; a code is sign, 2 exponent bits, 1 mantissa bit.
#pragma once
#include "bits.h"

FORMAT void decode_e2m1(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *pair = blocks;
  for (int64_t i = 0; i < values / 2; i++) {
    out[2 * i] = float_of_e2m1(pair[i] & 15) * scale;
    out[2 * i + 1] = float_of_e2m1(pair[i] >> 4) * scale;
  }
}

/// Nearest code at scale 1, ties to even; beyond 6 the largest, NaN is 0.
FORMAT void encode_e2m1(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *pair = blocks;
  for (int64_t i = 0; i < count / 2; i++) pair[i] = (uint8_t)(e2m1_of_float(values[2 * i]) | e2m1_of_float(values[2 * i + 1]) << 4);
}

/// 32 values; the scale is the plane's.
FORMAT void codes_e2m1(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) { unpack_neighbours(block, codes); }
