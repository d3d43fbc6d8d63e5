// q5_k: 256 five-bit codes, 8 groups with 6-bit scales and minima; value = d * s * q - dmin * m.
//
// Block of 176 bytes: f16 d, f16 dmin, 12 bytes of s and m (see affine_groups.h), 32 bytes of fifth bits (bit g of byte i is
// that of code i of group g), 4 x 32 bytes of the low four bits as in q4_k.
#pragma once
#include "affine_groups.h"

FORMAT void decode_q5_k(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 176, out += 256) {
    float d = load_f16(block), dmin = load_f16(block + 2);
    for (int g = 0; g < 8; g++) {
      float s = d * (float)group_scale(block + 4, g), m = dmin * (float)group_minimum(block + 4, g);
      const uint8_t *fifth = block + 16, *low = block + 48 + 32 * (g / 2);
      int shift = 4 * (g % 2);
      for (int i = 0; i < 32; i++) out[32 * g + i] = s * (float)((low[i] >> shift & 15) | (fifth[i] >> g & 1) << 4) - m;
    }
  }
}

FORMAT void encode_q5_k(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 256, block += 176, values += 256) {
    uint8_t q[256];
    encode_affine_groups(values, 31, block, q);
    for (int i = 0; i < 32; i++) {
      int fifth = 0;
      for (int g = 0; g < 8; g++) fifth |= (q[32 * g + i] >> 4) << g;
      block[16 + i] = (uint8_t)fifth;
      for (int k = 0; k < 4; k++) block[48 + 32 * k + i] = (uint8_t)((q[64 * k + i] & 15) | (q[64 * k + 32 + i] & 15) << 4);
    }
  }
}

FORMAT void codes_q5_k(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_affine_groups(block, lines, row);
#pragma clang loop unroll(full)
  for (int g = 0; g < 8; g++) {
    const uint8_t *low = block + 48 + 32 * (g / 2);
    int shift = 4 * (g % 2);
    AS_VECTORS
    for (int i = 0; i < 32; i++) codes[32 * g + i] = (uint8_t)((low[i] >> shift & 15) | (block[16 + i] >> g & 1) << 4);
  }
}
