// iq2_xs: 256 values from a grid of 512 octets, 4-bit scales a 16 values; value = d * (s + 1/2) / 4 * level.
//
// Block of 74 bytes: f16 d, 32 u16 (9-bit grid index, then 7 signs; the eighth makes their number even), 8 bytes of scales,
// low nibble first.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq2_xs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 74) {
    float d = load_f16(block);
    for (int k = 0; k < 32; k++, out += 8) {
      uint16_t word = load_u16(block + 2 + 2 * k);
      float step = d * (0.5f + (float)(block[66 + k / 4] >> 4 * (k / 2 % 2) & 15)) * 0.25f;
      widen_iq2(iq2_xs_grid[word & 511], even_signs(word >> 9), step, out);
    }
  }
}
