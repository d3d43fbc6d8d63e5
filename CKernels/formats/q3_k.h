// q3_k: 256 three-bit codes, 16 groups with 6-bit scales; value = d * (s - 32) * (q - 4).
//
// Block of 110 bytes: 32 bytes of third bits (bit g / 2 of byte 16 * (g % 2) + i), 64 bytes of low bits, 12 bytes of
// scales, f16 d. Group g has 16 values; its low bits lie as in q2_k. The low four bits of s are nibble g / 8 of
// scale byte g % 8, its high two are bits 2 * (g / 4) of scale byte 8 + g % 4.
#pragma once
#include "bits.h"

FORMAT int q3_k_step(const uint8_t *scales, int g) {
  return ((scales[g % 8] >> 4 * (g / 8) & 15) | (scales[8 + g % 4] >> 2 * (g / 4) & 3) << 4) - 32;
}

FORMAT void decode_q3_k(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 110, out += 256) {
    float d = load_f16(block + 108);
    const uint8_t *scales = block + 96;
    for (int g = 0; g < 16; g++) {
      int shift = 2 * (g / 2 % 4);
      float step = d * (float)q3_k_step(scales, g);
      const uint8_t *low = block + 32 + 32 * (g / 8) + 16 * (g % 2), *third = block + 16 * (g % 2);
      for (int i = 0; i < 16; i++) out[16 * g + i] = step * (float)((low[i] >> shift & 3) + (third[i] >> g / 2 & 1) * 4 - 4);
    }
  }
}

FORMAT void codes_q3_k(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block + 108);
  for (int g = 0; g < 16; g++) lines[HALF_LINE + g * CODE_ROWS + row] = (uint8_t)q3_k_step(block + 96, g);
  unpack_pairs(block + 32, codes);
#pragma clang loop unroll(full)
  for (int k = 0; k < 8; k++)
    AS_VECTORS
    for (int i = 0; i < 32; i++) codes[32 * k + i] |= (uint8_t)((block[i] >> k & 1) << 2);
}
