// int4: unsigned four-bit codes with scale and zero point beside them; value = (code - zero) * scale.
//
// Two values a byte, the first low.
#pragma once
#include "bits.h"

FORMAT void decode_int4(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *pair = blocks;
  for (int64_t i = 0; i < values / 2; i++) {
    out[2 * i] = ((float)(pair[i] & 15) - zero) * scale;
    out[2 * i + 1] = ((float)(pair[i] >> 4) - zero) * scale;
  }
}

/// Nearest code at scale 1 and zero 0: a half goes up, NaN is 0.
FORMAT void encode_int4(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *pair = blocks;
  for (int64_t i = 0; i < count / 2; i++)
    pair[i] = (uint8_t)(code_of_float(values[2 * i] + 0.5f, 15) | code_of_float(values[2 * i + 1] + 0.5f, 15) << 4);
}

/// 32 values; scale and zero are the planes'.
FORMAT void codes_int4(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) { unpack_neighbours(block, codes); }
