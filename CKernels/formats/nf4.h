// nf4: four-bit codes of the quantiles of a normal distribution; value = level * scale.
//
// Two values a byte, the first low.
#pragma once
#include "bits.h"

__attribute__((unused)) static const float nf4_levels[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
    -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};

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
