// Entries of the iq code books made into eight signed levels, a byte each, the first lowest.
//
// A format says where its blocks have entries and steps.
#pragma once
#include "bits.h"
#include "iq_grids.h"

/// One in each of eight bytes.
#define EVERY_BYTE 0x0101010101010101u

/// Eight two-bit steps, and eight four-bit ones, into a byte each.
FORMAT uint64_t spread_pairs(uint64_t v) {
  v = (v | v << 24) & 0x000000ff000000ff;
  v = (v | v << 12) & 0x000f000f000f000f;
  return (v | v << 6) & 0x0303030303030303;
}
FORMAT uint64_t spread_nibbles(uint64_t v) {
  v = (v | v << 16) & 0x0000ffff0000ffff;
  v = (v | v << 8) & 0x00ff00ff00ff00ff;
  return (v | v << 4) & 0x0f0f0f0f0f0f0f0f;
}

/// The sign bits of eight values from seven of them: the number of negative values is even.
FORMAT uint32_t even_signs(uint32_t seven) { return seven | (uint32_t)__builtin_parity(seven) << 7; }

/// Eight levels above 0, those of set bits negative.
FORMAT uint64_t with_signs(uint64_t levels, uint64_t signs) {
  signs |= signs << 8, signs |= signs << 16, signs |= signs << 32;
  uint64_t negative = ((signs & 0x8040201008040201) + 127 * EVERY_BYTE) >> 7 & EVERY_BYTE;
  return (levels ^ ((negative << 8) - negative)) + negative;
}

/// A block of 32 octets: their entries, an iq3 octet's second above its first, an iq1 octet's shift (1 for down) above its only one; and signs.
typedef struct grid_block {
  uint32_t entries[32], signs[32];
} grid_block;

/// Levels of iq2 grids: 8, 25, 43.
FORMAT void iq2_levels(const grid_block *b, uint64_t *restrict levels) {
  AS_VECTORS
  for (int k = 0; k < 32; k++) {
    uint64_t steps = spread_pairs(b->entries[k]);
    levels[k] = with_signs(8 * EVERY_BYTE + (steps << 4) + steps + (steps >> 1 & EVERY_BYTE), b->signs[k]);
  }
}

/// Of the iq3_xxs grid: 4, 12, 20, ... 52, 62.
FORMAT void iq3_xxs_levels(const grid_block *b, uint64_t *restrict levels) {
  AS_VECTORS
  for (int k = 0; k < 32; k++) {
    uint64_t steps = spread_nibbles(b->entries[k]);
    levels[k] = with_signs(4 * EVERY_BYTE + (steps << 3) + ((steps + EVERY_BYTE) >> 3 & EVERY_BYTE) * 2, b->signs[k]);
  }
}

/// Of the iq3_s grid: 1, 3, 5, ... 15.
FORMAT void iq3_s_levels(const grid_block *b, uint64_t *restrict levels) {
  AS_VECTORS
  for (int k = 0; k < 32; k++) levels[k] = with_signs(EVERY_BYTE + (spread_nibbles(b->entries[k]) << 1), b->signs[k]);
}

/// Of the iq1 grid, eight times: -8, 0, 8, all shifted by 1.
FORMAT void iq1_levels(const grid_block *b, uint64_t *restrict levels) {
  AS_VECTORS
  for (int k = 0; k < 32; k++) {
    uint64_t down = (0 - ((uint64_t)b->entries[k] >> 16)) & 2 * EVERY_BYTE;
    levels[k] = ((spread_pairs(b->entries[k]) << 3) + 121 * EVERY_BYTE - down) ^ 128 * EVERY_BYTE;
  }
}

/// What a format says of a block: its levels, a signed byte each, and the integer by which the scale of group g is a multiple of the block's.
typedef void (*block_levels)(const uint8_t *block, uint64_t *restrict levels);
typedef int (*block_step)(const uint8_t *block, int g);
#define INLINED static inline __attribute__((always_inline, unused))

/// Widens a block: value = unit * step * level.
INLINED void widen_levels(const uint8_t *block, block_levels levels_of, block_step step, int group, float unit, float *restrict out) {
  uint64_t levels[32];
  levels_of(block, levels);
  for (int g = 0; g < 256 / group; g++) {
    float scale = unit * (float)step(block, g);
    AS_VECTORS
    for (int i = group * g; i < group * (g + 1); i++) out[i] = scale * (float)((const int8_t *)levels)[i];
  }
}

/// The levels of a block as codes, and its steps in a row of scale lines.
INLINED void put_levels(const uint8_t *block, block_levels levels_of, block_step step, int group, uint8_t *restrict codes, uint8_t *lines, int row) {
  uint64_t levels[32];
  levels_of(block, levels);
  memcpy(codes, levels, 256);
  for (int g = 0; g < 256 / group; g++) lines[HALF_LINE + g * CODE_ROWS + row] = (uint8_t)step(block, g);
}
