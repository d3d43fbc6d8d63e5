// iq3_s: 256 values from a grid of 512 quartets, 4-bit scales a 32 values; value = d * (2 s + 1) * level.
//
// Block of 110 bytes: f16 d, 64 bytes of low index bits, 8 bytes of ninth index bits (bit k % 8 of byte k / 8), 32 bytes of
// signs, 4 bytes of scales, low nibble first.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq3_s(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    int ninth = block[66 + k / 4] >> 2 * (k % 4);
    uint32_t first = iq3_s_grid[block[2 + 2 * k] | (ninth & 1) << 8], second = iq3_s_grid[block[3 + 2 * k] | (ninth & 2) << 7];
    b.entries[k] = first | second << 16;
    b.signs[k] = block[74 + k];
  }
  iq3_s_levels(&b, levels);
}
FORMAT int step_of_iq3_s(const uint8_t *block, int g) { return 2 * (block[106 + g / 2] >> 4 * (g % 2) & 15) + 1; }

FORMAT void decode_iq3_s(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 110, out += 256)
    widen_levels(block, levels_of_iq3_s, step_of_iq3_s, 32, load_f16(block), out);
}

FORMAT void codes_iq3_s(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_levels(block, levels_of_iq3_s, step_of_iq3_s, 32, codes, lines, row);
}
