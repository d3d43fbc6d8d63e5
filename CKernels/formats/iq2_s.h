// iq2_s: 256 values from a grid of 1024 octets, 4-bit scales a 16 values; value = d * (s + 1/2) / 4 * level.
//
// Block of 82 bytes: f16 d, 32 bytes of low index bits, 32 bytes of signs, 8 bytes of the two high index bits (first octet
// lowest), 8 bytes of scales, low nibble first.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq2_s(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    b.entries[k] = iq2_s_grid[block[2 + k] | (block[66 + k / 4] >> 2 * (k % 4) & 3) << 8];
    b.signs[k] = block[34 + k];
  }
  iq2_levels(&b, levels);
}
FORMAT int step_of_iq2_s(const uint8_t *block, int g) { return 2 * (block[74 + g / 2] >> 4 * (g % 2) & 15) + 1; }

FORMAT void decode_iq2_s(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 82, out += 256)
    widen_levels(block, levels_of_iq2_s, step_of_iq2_s, 16, 0.125f * load_f16(block), out);
}

FORMAT void codes_iq2_s(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_levels(block, levels_of_iq2_s, step_of_iq2_s, 16, codes, lines, row);
}
