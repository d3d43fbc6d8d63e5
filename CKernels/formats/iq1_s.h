// iq1_s: 256 values from a grid of 2048 ternary octets, 3-bit scales a 32 values; value = d * (2 s + 1) * (level +- 1/8).
//
// Block of 50 bytes: f16 d, 32 bytes of low index bits, 8 u16, one a 32 values: four times three high index bits, the scale
// s in bits 12-14, and in bit 15 the sign of the shift.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq1_s(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    uint32_t word = load_u16(block + 34 + 2 * (k / 4));
    b.entries[k] = iq1_grid[block[2 + k] | (word >> 3 * (k % 4) & 7) << 8] | word >> 15 << 16;
  }
  iq1_levels(&b, levels);
}
FORMAT int step_of_iq1_s(const uint8_t *block, int g) { return 2 * (block[35 + 2 * g] >> 4 & 7) + 1; }

FORMAT void decode_iq1_s(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 50, out += 256)
    widen_levels(block, levels_of_iq1_s, step_of_iq1_s, 32, 0.125f * load_f16(block), out);
}

FORMAT void codes_iq1_s(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_levels(block, levels_of_iq1_s, step_of_iq1_s, 32, codes, lines, row);
}
