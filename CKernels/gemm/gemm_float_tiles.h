// Grouped GEMM of bf16 weights on f32 activations by tiles: an activation is the sum of three bf16 numbers, exactly.
//
// High, middle and low part meet the weights in tiles of sums of their own, which are added at the end of a run of 256 columns. That one
// token takes the same way as sixty-four makes its bits the same. Parts and weights below 2^-126 count as zero, as the instruction has it.
// Tiles 0-2 are the sums of 16 rows, 3-5 of 16 more, 6 parts of tokens, 7 weights.
#pragma once

enum { PARTS = 3, TILE_BLOCKS = 2, TILE_COLUMNS = TILE_ROW_BYTES / 2, RUN_PAIRS = RUN / 2 };

/// Two columns of 16 rows, element beside element: a row of a tile of weights.
typedef uint16_t halves __attribute__((ext_vector_type(32)));
typedef halves weight_pairs[RUN_PAIRS];
typedef uint16_t token_parts[PARTS][TILE_ROWS][RUN];
typedef float part_sums[TILE_BLOCKS][PARTS][TILE_ROWS][TILE_ROWS];

_Static_assert(sizeof(token_parts) + 2 * 4 * TILE_BLOCKS * TILE_ROWS * MOE_GEMM_ROWS <= 4 * GEMM_SCRATCH, "parts, sums, totals");

/// Cuts `count` values into parts of 8 bits each. What is not finite has all in its first part and, if NaN, stays so.
BODY void split_values(const float *restrict x, int64_t count, uint16_t *restrict high, uint16_t *restrict middle, uint16_t *restrict low) {
  for (int64_t i = 0; i < count; i++) {
    uint32_t bits = bits_of_float(x[i]), magnitude = bits & 0x7fffffff, first = bits & 0xffff0000;
    float rest = magnitude < 0x7f800000 ? x[i] - float_of_bits(first) : 0;
    uint32_t second = bits_of_float(rest) & 0xffff0000;
    high[i] = (uint16_t)(first >> 16 | (magnitude > 0x7f800000 ? 0x40 : 0));
    middle[i] = (uint16_t)(second >> 16);
    low[i] = (uint16_t)(bits_of_float(rest - float_of_bits(second)) >> 16);
  }
}

/// Columns [column, column + count) of 16 rows as pairs, zeros up to a whole tile. True when all are finite.
BODY bool pair_columns(const moe_matrix *w, int64_t first, int64_t rows, int64_t column, int64_t count, halves *out) {
  int64_t pairs = (count + 1) / 2;
  if (w->layout == MOE_PANELS) {
    const uint8_t *data = (const uint8_t *)w->data + 2 * (first * w->columns + column * PANEL);
    for (int64_t p = 0; p < pairs; p++, data += TILE_ROW_BYTES) {
      halves v = 0;
      __builtin_prefetch(data + FLOAT_AHEAD);
      if (2 * p + 1 < count)
        memcpy(&v, data, sizeof v);
      else
        memcpy(&v, data, sizeof v / 2);
      out[p] = __builtin_shufflevector(v, v, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14,
                                       30, 15, 31);
    }
  } else {
    memset(out, 0, (size_t)pairs * sizeof *out);
    for (int64_t r = 0; r < rows; r++) {
      const uint8_t *data = (const uint8_t *)w->data + (first + r) * w->row_bytes + 2 * column;
      for (int64_t p = 0; p < count / 2; p++) memcpy((uint8_t *)&out[p] + 4 * r, data + 4 * p, 4);
      if (count % 2) memcpy((uint8_t *)&out[count / 2] + 4 * r, data + 2 * (count - 1), 2);
    }
  }
  halves most = 0;
  for (int64_t p = 0; p < pairs; p++) most = __builtin_elementwise_max(most, out[p] & 0x7fff);
  for (int64_t p = pairs; p % TILE_ROWS; p++) out[p] = 0;
  return __builtin_reduce_max(most) < 0x7f80;
}

/// Sums of the parts of one tile of tokens with each block of 16 rows, all tiles of a run. Infinite weights meet the first part only: the
/// others may be zero.
BODY void multiply_parts(tile_file *tiles, int blocks, const weight_pairs *weights, const weight_pairs *finite, const token_parts parts,
                         int64_t columns, part_sums sums) {
#define PART(tile, part)                                                                   \
  load_tile(tiles, 6, (const void *)(parts[part][0] + c), sizeof parts[part][0]);          \
  multiply_bfloat_tiles(tiles, tile, 6, 7);
#define BLOCK(i)                                                                           \
  if (i < blocks) {                                                                        \
    load_tile(tiles, 7, (const void *)(weights[i] + c / 2), TILE_ROW_BYTES);               \
    PART(3 * i, 0)                                                                         \
    if (finite != weights) load_tile(tiles, 7, (const void *)(finite[i] + c / 2), TILE_ROW_BYTES); \
    PART(3 * i + 1, 1)                                                                     \
    PART(3 * i + 2, 2)                                                                     \
  }
  zero_tile(tiles, 0), zero_tile(tiles, 1), zero_tile(tiles, 2), zero_tile(tiles, 3), zero_tile(tiles, 4), zero_tile(tiles, 5);
  for (int64_t c = 0; c < columns; c += TILE_COLUMNS) {
    BLOCK(0)
    BLOCK(1)
  }
  store_tile(tiles, 0, sums[0][0], 64), store_tile(tiles, 1, sums[0][1], 64), store_tile(tiles, 2, sums[0][2], 64);
  if (blocks > 1) store_tile(tiles, 3, sums[1][0], 64), store_tile(tiles, 4, sums[1][1], 64), store_tile(tiles, 5, sums[1][2], 64);
#undef BLOCK
#undef PART
}

static void gemm_float_tiles(const moe_matrix *w, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride, const int32_t *rows,
                            int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  if (m == 0) return;
  uint16_t (*parts)[TILE_ROWS][RUN] = (uint16_t (*)[TILE_ROWS][RUN])scratch;
  float (*sums)[MOE_GEMM_ROWS][TILE_ROWS] = (float (*)[MOE_GEMM_ROWS][TILE_ROWS])(scratch + sizeof(token_parts) / sizeof(float));
  float (*totals)[MOE_GEMM_ROWS][TILE_ROWS] = sums + TILE_BLOCKS;
  _Alignas(64) weight_pairs weights[TILE_BLOCKS], finite[TILE_BLOCKS];
  _Alignas(64) part_sums products;
  int64_t token_tiles = (m + TILE_ROWS - 1) / TILE_ROWS, tile = (m + token_tiles - 1) / token_tiles, k = w->columns;
  tile_file tiles;
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.rows[i] = i < 7 ? (uint8_t)tile : TILE_ROWS, shapes.row_bytes[i] = TILE_ROW_BYTES;
  configure_tiles(&tiles, &shapes);
  for (int64_t r = row_begin; r < row_end; r += TILE_BLOCKS * TILE_ROWS) {
    int blocks = row_end - r > TILE_ROWS ? 2 : 1;
    for (int64_t begin = 0, end; begin < k; begin = end) {
      end = k - begin < segment ? k : begin + segment;
      for (int64_t c = begin, columns; c < end; c += columns) {
        columns = end - c < RUN ? end - c : RUN;
        int64_t padded = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
        bool is_finite = true;
        for (int b = 0; b < blocks; b++) {
          int64_t first = r + b * TILE_ROWS, count = row_end - first < TILE_ROWS ? row_end - first : TILE_ROWS;
          is_finite &= pair_columns(w, first, count, c, columns, weights[b]);
        }
        for (int b = 0; b < blocks && !is_finite; b++)
          for (int64_t p = 0; p < padded / 2; p++) finite[b][p] = (weights[b][p] & 0x7f80) == 0x7f80 ? (halves)0 : weights[b][p];
        for (int64_t i = 0; i < m; i += tile) {
          int64_t tokens = m - i < tile ? m - i : tile;
          for (int64_t t = 0; t < tile; t++) {
            int64_t values = t < tokens ? columns : 0;
            if (values)
              split_values(x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride + c, columns, parts[0][t], parts[1][t], parts[2][t]);
            for (int part = 0; part < PARTS; part++) memset(parts[part][t] + values, 0, (size_t)(padded - values) * sizeof(uint16_t));
          }
          multiply_parts(&tiles, blocks, weights, is_finite ? weights : finite, parts, columns, products);
          for (int b = 0; b < blocks; b++)
            for (int64_t t = 0; t < tokens; t++) {
              vec sum = add_vec(add_vec(load_vec(products[b][2][t]), load_vec(products[b][1][t])), load_vec(products[b][0][t]));
              store_vec(sums[b][i + t], c == begin ? sum : add_vec(load_vec(sums[b][i + t]), sum));
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
      for (int64_t i = 0, first = r + b * TILE_ROWS, count = row_end - first < TILE_ROWS ? row_end - first : TILE_ROWS; i < m; i++)
        memcpy(y + i * y_stride + first - row_begin, totals[b][i], (size_t)count * sizeof(float));
  }
  release_tiles(&tiles);
}
