// iq1_m: 256 values from a grid of 2048 ternary octets, 3-bit scales a 16 values; value = d * (2 s + 1) * (level +- 1/8).
//
// Block of 56 bytes: 32 bytes of low index bits, 16 bytes with a nibble an octet (three high index bits, then the sign of
// the shift), 4 u16 of four scales each; the top nibbles of these, first lowest, are the f16 d.
#pragma once
#include "iq_grids.h"

FORMAT void decode_iq1_m(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 56) {
    uint32_t bits = 0;
    for (int k = 0; k < 4; k++) bits |= (uint32_t)(block[49 + 2 * k] >> 4) << 4 * k;
    float d = float_of_f16((uint16_t)bits);
    for (int k = 0; k < 32; k++, out += 8) {
      int s = load_u16(block + 48 + 2 * (k / 8)) >> 3 * (k / 2 % 4) & 7, nibble = block[32 + k / 2] >> 4 * (k % 2);
      float step = d * (float)(2 * s + 1), delta = nibble & 8 ? -0.125f : 0.125f;
      widen_iq1(iq1_grid[block[k] | (nibble & 7) << 8], delta, step, out);
    }
  }
}
