// q4_k: 256 four-bit codes, 8 groups with 6-bit scales and minima; value = d * s * q - dmin * m.
//
// Block of 144 bytes: f16 d, f16 dmin, 12 bytes of s and m (see affine_groups.h), 4 x 32 bytes; byte i of 32 holds a code
// of group 2 k low and of group 2 k + 1 high.
#pragma once
#include "affine_groups.h"

FORMAT void decode_q4_k(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 144, out += 256) {
    float d = load_f16(block), dmin = load_f16(block + 2);
    for (int g = 0; g < 8; g++) {
      float s = d * (float)group_scale(block + 4, g), m = dmin * (float)group_minimum(block + 4, g);
      const uint8_t *q = block + 16 + 32 * (g / 2);
      int shift = 4 * (g % 2);
      for (int i = 0; i < 32; i++) out[32 * g + i] = s * (float)(q[i] >> shift & 15) - m;
    }
  }
}

FORMAT void encode_q4_k(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 256, block += 144, values += 256) {
    uint8_t q[256];
    encode_affine_groups(values, 15, block, q);
    for (int i = 0; i < 128; i++) {
      const uint8_t *code = q + 64 * (i / 32) + i % 32;
      block[16 + i] = (uint8_t)(code[0] | code[32] << 4);
    }
  }
}

FORMAT void codes_q4_k(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_affine_groups(block, lines, row);
  for (int p = 0; p < 4; p++)
    for (int i = 0; i < 32; i++)
      codes[64 * p + i] = block[16 + 32 * p + i] & 15, codes[64 * p + 32 + i] = block[16 + 32 * p + i] >> 4;
}
