// q2_k: 256 two-bit codes, 16 groups with 4-bit scales and minima; value = d * s * q - dmin * m.
//
// Block of 84 bytes: 16 bytes (scale s of group g low, minimum m high), 64 bytes of codes, f16 d, f16 dmin.
// Group g has 16 values; its codes are bits 2 * (g / 2 % 4) of the 16 bytes from 32 * (g / 8) + 16 * (g % 2).
#pragma once
#include "bits.h"

FORMAT void decode_q2_k(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 84, out += 256) {
    float d = load_f16(block + 80), dmin = load_f16(block + 82);
    for (int g = 0; g < 16; g++) {
      float s = d * (float)(block[g] & 15), m = dmin * (float)(block[g] >> 4);
      const uint8_t *q = block + 16 + 32 * (g / 8) + 16 * (g % 2);
      int shift = 2 * (g / 2 % 4);
      for (int i = 0; i < 16; i++) out[16 * g + i] = s * (float)(q[i] >> shift & 3) - m;
    }
  }
}

FORMAT void codes_q2_k(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block + 80);
  put_half(lines + HALF_LINE, row, block + 82);
  for (int g = 0; g < 16; g++) lines[2 * HALF_LINE + g * CODE_ROWS + row] = block[g];
  unpack_pairs(block + 16, codes);
}
