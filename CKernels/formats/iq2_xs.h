// iq2_xs: 256 values from a grid of 512 octets, 4-bit scales a 16 values; value = d * (s + 1/2) / 4 * level.
//
// Block of 74 bytes: f16 d, 32 u16 (9-bit grid index, then 7 signs; the eighth makes their number even), 8 bytes of scales,
// low nibble first.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq2_xs(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    uint32_t word = load_u16(block + 2 + 2 * k);
    b.entries[k] = iq2_xs_grid[word & 511];
    b.signs[k] = even_signs(word >> 9);
  }
  iq2_levels(&b, levels);
}
FORMAT int step_of_iq2_xs(const uint8_t *block, int g) { return 2 * (block[66 + g / 2] >> 4 * (g % 2) & 15) + 1; }

FORMAT void decode_iq2_xs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 74, out += 256)
    widen_levels(block, levels_of_iq2_xs, step_of_iq2_xs, 16, 0.125f * load_f16(block), out);
}

FORMAT void codes_iq2_xs(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_levels(block, levels_of_iq2_xs, step_of_iq2_xs, 16, codes, lines, row);
}
