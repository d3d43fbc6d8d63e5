// iq3_xxs: 256 values from a grid of 256 quartets, 4-bit scales a 32 values; value = d * (s + 1/2) / 2 * level.
//
// Block of 98 bytes: f16 d, 64 grid indices, then 8 u32, one a 32 values: four 7-bit sign words (the eighth sign makes their
// number even) and, in the top four bits, the scale s.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq3_xxs(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    const uint8_t *q = block + 2 + 2 * k;
    b.entries[k] = iq3_xxs_grid[q[0]] | (uint32_t)iq3_xxs_grid[q[1]] << 16;
    b.signs[k] = even_signs(load_u32(block + 66 + 4 * (k / 4)) >> 7 * (k % 4) & 127);
  }
  iq3_xxs_levels(&b, levels);
}
FORMAT int step_of_iq3_xxs(const uint8_t *block, int g) { return 4 * (block[69 + 4 * g] >> 4) + 2; }

FORMAT void decode_iq3_xxs(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 98, out += 256)
    widen_levels(block, levels_of_iq3_xxs, step_of_iq3_xxs, 32, 0.125f * load_f16(block), out);
}

FORMAT void codes_iq3_xxs(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_levels(block, levels_of_iq3_xxs, step_of_iq3_xxs, 32, codes, lines, row);
}
