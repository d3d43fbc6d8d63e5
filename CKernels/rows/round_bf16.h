// Activations to bf16, and into the tiles that the products read.
//
// The m rows of a call are cut evenly into tiles of at most BF16_TOKENS rows. A tile of n rows holds, 32 columns after 32 columns (zeros behind
// the last), n x 64 bytes: pair after pair of columns, those of each row next to each other. Where an ISA multiplies tiles (MULTIPLIES_TILES), they
// have up to 16 rows, and the 32 columns of a row lie together.
#pragma once

#ifdef MULTIPLIES_TILES
#define BF16_TOKENS TILE_ROWS
#elif !defined(BF16_TOKENS)
#define BF16_TOKENS 12
#endif
enum { BF16_GROUP = 32 };

/// Columns [column, column + count) of `m` rows into their tiles; x is at the first of these columns.
BODY void round_bf16(const float *x, int64_t x_stride, const int32_t *rows, int64_t m, int64_t column, int64_t count, int64_t columns,
                     uint8_t *rounded) {
  for (int64_t i = 0, tokens; i < m; i += tokens, rounded += tokens * bf16_row_bytes(columns)) {
    tokens = next_tile(m - i, BF16_TOKENS);
    for (int64_t t = 0; t < tokens; t++) {
      const float *row = x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride;
      uint8_t *group = rounded + 2 * column * tokens;
      for (int64_t c = 0; c < count; c += BF16_GROUP, group += 2 * BF16_GROUP * tokens) {
        uint16_t values[BF16_GROUP] = {0};
        if (count - c >= BF16_GROUP)
          for (int j = 0; j < BF16_GROUP; j++) values[j] = bf16_of_float(row[c + j]);
        else
          for (int64_t j = 0; j < count - c; j++) values[j] = bf16_of_float(row[c + j]);
#ifdef MULTIPLIES_TILES
        memcpy(group + 2 * BF16_GROUP * t, values, sizeof values);
#else
        for (int p = 0; p < BF16_GROUP / 2; p++) memcpy(group + (p * tokens + t) * 4, values + 2 * p, 4);
#endif
      }
    }
  }
}
