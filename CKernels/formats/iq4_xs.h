// iq4_xs: 256 four-bit codes of the iq4_nl levels, 6-bit scales a 32 values; value = d * (s - 32) * level.
//
// Block of 136 bytes: f16 d, u16 of the high two scale bits, 4 bytes of the low four (low nibble first), then 8 x 16 bytes;
// byte i of 16 holds code i low and code i + 16 high.
#pragma once
#include "iq4_nl.h"

FORMAT void decode_iq4_xs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 136) {
    float d = load_f16(block);
    int high = load_u16(block + 2);
    for (int g = 0; g < 8; g++, out += 32) {
      int s = (block[4 + g / 2] >> 4 * (g % 2) & 15) | (high >> 2 * g & 3) << 4;
      widen_iq4(block + 8 + 16 * g, d * (float)(s - 32), out);
    }
  }
}

FORMAT void codes_iq4_xs(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  int high = load_u16(block + 2);
  for (int g = 0; g < 8; g++) {
    lines[HALF_LINE + g * CODE_ROWS + row] = (uint8_t)(((block[4 + g / 2] >> 4 * (g % 2) & 15) | (high >> 2 * g & 3) << 4) - 32);
    unpack_nibbles(block + 8 + 16 * g, codes + 32 * g);
  }
}
