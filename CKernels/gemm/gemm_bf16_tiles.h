// Grouped GEMM of bf16 weights on bf16 activations by tiles: 16 rows meet 16 tokens, 32 columns deep, in one instruction.
//
// Weights are paired a run of 256 columns at a time; tokens are read where they were rounded. Two tiles of tokens meet two of rows at once: tiles
// 0-1 are the sums of the first tile of tokens, 2-3 of the second; 4 and 5 the tokens, 6 and 7 the rows.
#pragma once

typedef float tile_sums[2][TILE_BLOCKS][TILE_ROWS][TILE_ROWS];

/// One or two tiles of tokens, of `tokens` each, at `x`.
typedef struct token_tiles {
  const uint8_t *x[2];
  int64_t tokens[2];
} token_tiles;

_Static_assert(sizeof(float) * 2 * TILE_BLOCKS * TILE_ROWS * MOE_GEMM_ROWS <= 4 * GEMM_SCRATCH, "sums, totals");

/// One run of columns.
BODY void multiply_token_tiles(tile_file *tiles, int blocks, const weight_pairs *weights, token_tiles t, int64_t columns, tile_sums sums) {
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shapes.rows[i] = i >= 6 ? TILE_ROWS : (uint8_t)(i == 2 || i == 3 || i == 5 ? t.tokens[1] : t.tokens[0]);
    shapes.row_bytes[i] = shapes.rows[i] ? TILE_ROW_BYTES : 0;
  }
  configure_tiles(tiles, &shapes);
  bool has_second = t.tokens[1] > 0;
  zero_tile(tiles, 0), zero_tile(tiles, 1);
  if (has_second) zero_tile(tiles, 2), zero_tile(tiles, 3);
  for (int64_t c = 0; c < columns; c += TILE_COLUMNS) {
    load_tile(tiles, 6, (const void *)(weights[0] + c / 2), TILE_ROW_BYTES);
    if (blocks > 1) load_tile(tiles, 7, (const void *)(weights[1] + c / 2), TILE_ROW_BYTES);
    load_tile(tiles, 4, t.x[0] + 2 * c * t.tokens[0], TILE_ROW_BYTES);
    multiply_bfloat_tiles(tiles, 0, 4, 6);
    if (blocks > 1) multiply_bfloat_tiles(tiles, 1, 4, 7);
    if (has_second) {
      load_tile(tiles, 5, t.x[1] + 2 * c * t.tokens[1], TILE_ROW_BYTES);
      multiply_bfloat_tiles(tiles, 2, 5, 6);
      if (blocks > 1) multiply_bfloat_tiles(tiles, 3, 5, 7);
    }
  }
  store_tile(tiles, 0, sums[0][0], TILE_ROW_BYTES), store_tile(tiles, 1, sums[0][1], TILE_ROW_BYTES);
  if (has_second) store_tile(tiles, 2, sums[1][0], TILE_ROW_BYTES), store_tile(tiles, 3, sums[1][1], TILE_ROW_BYTES);
}

BODY void gemm_bf16_tiles(const moe_matrix *w, int64_t row_begin, int64_t row_end, const uint8_t *x, int64_t m, int64_t segment, float *y,
                          int64_t y_stride, float *scratch) {
  if (m == 0) return;
  float (*sums)[MOE_GEMM_ROWS][TILE_ROWS] = (float (*)[MOE_GEMM_ROWS][TILE_ROWS])scratch, (*totals)[MOE_GEMM_ROWS][TILE_ROWS] = sums + TILE_BLOCKS;
  _Alignas(64) weight_pairs weights[TILE_BLOCKS];
  _Alignas(64) tile_sums products;
  int64_t k = w->columns;
  tile_file tiles;
  for (int64_t r = row_begin; r < row_end; r += TILE_BLOCKS * TILE_ROWS) {
    int blocks = row_end - r > TILE_ROWS ? 2 : 1;
    for (int64_t begin = 0, end; begin < k; begin = end) {
      end = k - begin < segment ? k : begin + segment;
      for (int64_t c = begin, columns; c < end; c += columns) {
        columns = end - c < RUN ? end - c : RUN;
        for (int b = 0; b < blocks; b++) {
          int64_t first = r + b * TILE_ROWS;
          pair_columns(w, first, row_end - first < TILE_ROWS ? row_end - first : TILE_ROWS, c, columns, weights[b]);
        }
        for (int64_t i = 0; i < m;) {
          token_tiles t = {.tokens = {next_tile(m - i, TILE_ROWS)}};
          int64_t first = i, second = i + t.tokens[0];
          if (second < m) t.tokens[1] = next_tile(m - second, TILE_ROWS);
          for (int j = 0; j < 2; i += t.tokens[j++]) t.x[j] = x + i * bf16_row_bytes(k) + 2 * c * t.tokens[j];
          multiply_token_tiles(&tiles, blocks, weights, t, columns, products);
          for (int b = 0; b < blocks; b++)
            for (int64_t q = first; q < i; q++) {
              vec sum = load_vec(q < second ? products[0][b][q - first] : products[1][b][q - second]);
              store_vec(sums[b][q], c == begin ? sum : add_vec(load_vec(sums[b][q]), sum));
            }
        }
      }
      for (int b = 0; b < blocks; b++)
        for (int64_t i = 0; i < m; i++) {
          vec sum = load_vec(sums[b][i]);
          store_vec(totals[b][i], begin ? add_vec(load_vec(totals[b][i]), sum) : sum);
        }
    }
    for (int b = 0; b < blocks; b++)
      for (int64_t i = 0, first = r + b * TILE_ROWS; i < m; i++)
        store_rows(y + i * y_stride + first - row_begin, totals[b][i], row_end - first);
  }
  release_tiles(&tiles);
}
