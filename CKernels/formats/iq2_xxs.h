// iq2_xxs: 256 values from a grid of 256 octets, 4-bit scales a 32 values; value = d * (s + 1/2) / 4 * level.
//
// Block of 66 bytes: f16 d, then 8 x 8 bytes for 32 values each: four grid indices, then a u32 of four 7-bit sign words
// (the eighth sign makes their number even) and, in the top four bits, the scale s.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq2_xxs(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    const uint8_t *q = block + 2 + 8 * (k / 4);
    b.entries[k] = iq2_xxs_grid[q[k % 4]];
    b.signs[k] = even_signs(load_u32(q + 4) >> 7 * (k % 4) & 127);
  }
  iq2_levels(&b, levels);
}
FORMAT int step_of_iq2_xxs(const uint8_t *block, int g) { return 2 * (block[9 + 8 * g] >> 4) + 1; }

FORMAT void decode_iq2_xxs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 66, out += 256)
    widen_levels(block, levels_of_iq2_xxs, step_of_iq2_xxs, 32, 0.125f * load_f16(block), out);
}

FORMAT void codes_iq2_xxs(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_levels(block, levels_of_iq2_xxs, step_of_iq2_xxs, 32, codes, lines, row);
}
