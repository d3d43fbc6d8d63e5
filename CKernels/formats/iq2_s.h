// iq2_s: 256 values from a grid of 1024 octets, 4-bit scales a 16 values; value = d * (s + 1/2) / 4 * level.
//
// Block of 82 bytes: f16 d, 32 bytes of low index bits, 32 bytes of signs, 8 bytes of the two high index bits (first octet
// lowest), 8 bytes of scales, low nibble first.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq2_s(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 82) {
    float d = load_f16(block);
    for (int k = 0; k < 32; k++, out += 8) {
      int index = block[2 + k] | (block[66 + k / 4] >> 2 * (k % 4) & 3) << 8;
      float step = d * (0.5f + (float)(block[74 + k / 4] >> 4 * (k / 2 % 2) & 15)) * 0.25f;
      widen_iq2(iq2_s_grid[index], block[34 + k], step, out);
    }
  }
}
