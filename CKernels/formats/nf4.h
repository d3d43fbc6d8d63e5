// nf4: four-bit codes of the quantiles of a normal distribution; value = level * scale.
//
// Two values a byte, the first low.
#pragma once
#include "bits.h"

FORMAT void decode_nf4(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *pair = blocks;
  for (int64_t i = 0; i < values / 2; i++) {
    out[2 * i] = nf4_levels[pair[i] & 15] * scale;
    out[2 * i + 1] = nf4_levels[pair[i] >> 4] * scale;
  }
}

FORMAT int nearest_nf4(float v) {
  int code = 0;
  for (int i = 0; i < 15; i++) code += v > 0.5f * (nf4_levels[i] + nf4_levels[i + 1]);
  return v == v ? code : 7;
}

/// Nearest level at scale 1, the lower of two equally near; NaN is 0.
FORMAT void encode_nf4(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *pair = blocks;
  for (int64_t i = 0; i < count / 2; i++) pair[i] = (uint8_t)(nearest_nf4(values[2 * i]) | nearest_nf4(values[2 * i + 1]) << 4);
}
