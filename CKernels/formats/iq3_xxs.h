// iq3_xxs: 256 values from a grid of 256 quartets, 4-bit scales a 32 values; value = d * (s + 1/2) / 2 * level.
//
// Block of 98 bytes: f16 d, 64 grid indices, then 8 u32, one a 32 values: four 7-bit sign words (the eighth sign makes their
// number even) and, in the top four bits, the scale s.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq3_xxs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 98) {
    float d = load_f16(block);
    const uint8_t *q = block + 2;
    for (int g = 0; g < 8; g++) {
      uint32_t word = load_u32(block + 66 + 4 * g);
      float step = d * (0.5f + (float)(word >> 28)) * 0.5f;
      for (int k = 0; k < 4; k++, q += 2, out += 8) {
        uint32_t entries = iq3_xxs_grid[q[0]] | (uint32_t)iq3_xxs_grid[q[1]] << 16;
        widen_iq3_xxs(entries, even_signs(word >> 7 * k & 127), step, out);
      }
    }
  }
}
