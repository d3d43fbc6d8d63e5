// iq1_s: 256 values from a grid of 2048 ternary octets, 3-bit scales a 32 values; value = d * (2 s + 1) * (level +- 1/8).
//
// Block of 50 bytes: f16 d, 32 bytes of low index bits, 8 u16, one a 32 values: four times three high index bits, the scale
// s in bits 12-14, and in bit 15 the sign of the shift.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq1_s(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 50) {
    float d = load_f16(block);
    for (int g = 0; g < 8; g++) {
      int word = load_u16(block + 34 + 2 * g);
      float step = d * (float)(2 * (word >> 12 & 7) + 1), delta = word & 0x8000 ? -0.125f : 0.125f;
      for (int k = 0; k < 4; k++, out += 8)
        widen_iq1(iq1_grid[block[2 + 4 * g + k] | (word >> 3 * k & 7) << 8], delta, step, out);
    }
  }
}
