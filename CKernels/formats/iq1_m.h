// iq1_m: 256 values from a grid of 2048 ternary octets, 3-bit scales a 16 values; value = d * (2 s + 1) * (level +- 1/8).
//
// Block of 56 bytes: 32 bytes of low index bits, 16 bytes with a nibble an octet (three high index bits, then the sign of
// the shift), 4 u16 of four scales each; the top nibbles of these, first lowest, are the f16 d.
#pragma once
#include "iq_levels.h"

FORMAT void levels_of_iq1_m(const uint8_t *block, uint64_t *restrict levels) {
  grid_block b;
#pragma clang loop unroll(full)
  for (int k = 0; k < 32; k++) {
    uint32_t nibble = block[32 + k / 2] >> 4 * (k % 2);
    b.entries[k] = iq1_grid[block[k] | (nibble & 7) << 8] | (nibble >> 3 & 1) << 16;
  }
  iq1_levels(&b, levels);
}
FORMAT int step_of_iq1_m(const uint8_t *block, int g) { return 2 * (load_u16(block + 48 + 2 * (g / 4)) >> 3 * (g % 4) & 7) + 1; }
FORMAT uint16_t half_of_iq1_m(const uint8_t *block) {
  int bits = 0;
  for (int k = 0; k < 4; k++) bits |= block[49 + 2 * k] >> 4 << 4 * k;
  return (uint16_t)bits;
}

FORMAT void decode_iq1_m(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 56, out += 256)
    widen_levels(block, levels_of_iq1_m, step_of_iq1_m, 16, 0.125f * float_of_f16(half_of_iq1_m(block)), out);
}

FORMAT void codes_iq1_m(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  uint16_t half = half_of_iq1_m(block);
  put_half(lines, row, (const uint8_t *)&half);
  put_levels(block, levels_of_iq1_m, step_of_iq1_m, 16, codes, lines, row);
}
