// iq2_xxs: 256 values from a grid of 256 octets, 4-bit scales a 32 values; value = d * (s + 1/2) / 4 * level.
//
// Block of 66 bytes: f16 d, then 8 x 8 bytes for 32 values each: four grid indices, then a u32 of four 7-bit sign words
// (the eighth sign makes their number even) and, in the top four bits, the scale s.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq2_xxs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 66) {
    float d = load_f16(block);
    for (const uint8_t *q = block + 2; q < block + 66; q += 8) {
      uint32_t word = load_u32(q + 4);
      float step = d * (0.5f + (float)(word >> 28)) * 0.25f;
      for (int k = 0; k < 4; k++, out += 8) widen_iq2(iq2_xxs_grid[q[k]], even_signs(word >> 7 * k & 127), step, out);
    }
  }
}
