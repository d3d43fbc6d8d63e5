// iq3_s: 256 values from a grid of 512 quartets, 4-bit scales a 32 values; value = d * (2 s + 1) * level.
//
// Block of 110 bytes: f16 d, 64 bytes of low index bits, 8 bytes of ninth index bits (bit k % 8 of byte k / 8), 32 bytes of
// signs, 4 bytes of scales, low nibble first.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq3_s(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 110) {
    float d = load_f16(block);
    for (int k = 0; k < 32; k++, out += 8) {
      int ninth = block[66 + k / 4] >> 2 * (k % 4);
      uint32_t first = iq3_s_grid[block[2 + 2 * k] | (ninth & 1) << 8], second = iq3_s_grid[block[3 + 2 * k] | (ninth & 2) << 7];
      float step = d * (float)(1 + 2 * (block[106 + k / 8] >> 4 * (k / 4 % 2) & 15));
      widen_iq3_s(first | second << 16, block[74 + k], step, out);
    }
  }
}
