// Grouped GEMM on int8 activations by tiles: 16 tokens meet 16 rows and a whole group of columns in one instruction.
//
// A run of 256 columns of 16 rows is unpacked once for all tokens: a quad of two panels side by side is a row of a tile of weights. The exact
// sums of a group go through memory to the lanes, and what follows is gemm_int8.h's in the same order, hence the same bits. While the lanes
// scale four groups, the tiles multiply the next four: tiles 0-3 are their sums; 4 and 5 tokens, 6 and 7 weights, by turns.
#pragma once

enum { TILE_GROUPS = 4, TILE_AHEAD = 4096, RUN_GROUPS = INT8_RUN / 16 };
_Static_assert(VEC_ROWS == TILE_ROWS, "a lane is a row of weights, a column of a tile of sums");

/// A run of columns of 16 rows: quads, then scale and minimum of every group.
typedef struct weight_run {
  bytes quads[INT8_RUN / 4];
  vec scales[RUN_GROUPS], minima[RUN_GROUPS];
} weight_run;

/// The same run of columns of the tokens; offsets as rows/round_int8.h has them.
typedef struct token_run {
  int8_t codes[MOE_GEMM_ROWS][INT8_RUN];
  uint8_t scales[MOE_GEMM_ROWS][4 * INT8_RUN / 32], offsets[MOE_GEMM_ROWS][4 * RUN_GROUPS];
} token_run;

/// Sums of TILE_GROUPS groups: group, token, row.
typedef int32_t group_sums[TILE_GROUPS][TILE_ROWS][TILE_ROWS];

_Static_assert(4 * 2 * TILE_ROWS * MOE_GEMM_ROWS + sizeof(token_run) + 5 * CODE_ROWS * INT8_RUN <= 4 * GEMM_SCRATCH, "sums, totals, tokens, panels");

/// Columns [column, column + count) of m rounded rows of k columns, and of as many of nothing as fill a tile of eight.
BODY void take_tokens(code_format f, const uint8_t *x, int64_t m, int64_t k, int64_t column, int64_t count, token_run *out) {
  int64_t each = int8_group_bytes(f);
  int groups = 32 / f.group;
  for (int64_t i = 0, tokens; i < m; i += tokens, x += tokens * (k / 32) * each) {
    tokens = next_tile(m - i, ROUNDED_TOKENS);
    const uint8_t *tile = x + column / 32 * tokens * each;
    for (int64_t c = 0; c < count / 32; c++, tile += tokens * each)
      for (int64_t t = 0; t < tokens; t++) {
        memcpy(out->codes[i + t] + 32 * c, tile + 32 * t, 32);
        memcpy(out->scales[i + t] + 4 * c, tile + 32 * tokens + 4 * t, 4);
        for (int g = 0; g < groups; g++) memcpy(out->offsets[i + t] + 4 * (c * groups + g), tile + (36 + 4 * g) * tokens + 4 * t, 4);
      }
  }
  for (int64_t t = m; t % 8; t++)
    memset(out->codes[t], 0, INT8_RUN), memset(out->scales[t], 0, sizeof out->scales[t]), memset(out->offsets[t], 0, sizeof out->offsets[t]);
}

/// `count` columns of two panels, `panel` bytes apart.
BODY void unpack_weights(code_format f, const uint8_t *unit, int64_t panel, int64_t count, weight_run *out) {
  int quads = f.group / 4, group = 0;
  for (int64_t begin = 0; begin < count; begin += f.values, unit += unit_bytes(f, f.values)) {
    const uint8_t *codes = unit + line_bytes(f);
    for (int64_t c = 0; c < f.values; c += 32, codes += code_bytes(f)) {
      for (int64_t b = 0; b < code_bytes(f); b += 64) __builtin_prefetch(codes + TILE_AHEAD + b), __builtin_prefetch(codes + panel + TILE_AHEAD + b);
      for (int q = 0; q < 8; q++) out->quads[(begin + c) / 4 + q] = load_factors(f, codes, panel, q);
      for (int g = 0; g < 8 / quads; g++, group++)
        load_scales(f, unit, panel, c / f.group + g, &out->scales[group], &out->minima[group]);
    }
  }
}

/// Sums of `count` groups of 16 tokens, whose codes of the first group begin at `codes`.
BODY void multiply_groups(code_format f, tile_file *tiles, const int8_t *codes, const bytes *quads, int64_t count, group_sums sums) {
#define GROUP(i)                                                     \
  if (i < count) {                                                   \
    zero_tile(tiles, i);                                             \
    load_tile(tiles, 4 + i % 2, codes + i * f.group, INT8_RUN);      \
    load_tile(tiles, 6 + i % 2, quads + i * (f.group / 4), 64);      \
    multiply_byte_tiles(tiles, i, 4 + i % 2, 6 + i % 2);           \
  }
#define STORE(i) \
  if (i < count) store_tile(tiles, i, sums[i], 64);
  GROUP(0) GROUP(1) GROUP(2) GROUP(3)
  STORE(0) STORE(1) STORE(2) STORE(3)
#undef STORE
#undef GROUP
}

/// One run of columns for 8 or 16 tokens: sums[t * 16 + r] goes on.
BODY void multiply_run_by_tiles(code_format f, tile_file *tiles, const weight_run *w, const token_run *x, int64_t first, int tokens, int64_t columns,
                                float *sums) {
  _Alignas(64) group_sums products[2];
  vec sum[TILE_ROWS];
  // The sums stay in registers only where no loop over them is left.
#define EVERY_TOKEN _Pragma("clang loop unroll(full)") for (int t = 0; t < tokens; t++)
  EVERY_TOKEN sum[t] = load_vec(sums + t * TILE_ROWS);
  int64_t groups = columns / f.group;
  for (int64_t g = 0; g < groups + TILE_GROUPS; g += TILE_GROUPS) {
    if (g < groups)
      multiply_groups(f, tiles, x->codes[first] + g * f.group, w->quads + g * (f.group / 4), groups - g, products[g / TILE_GROUPS % 2]);
    for (int64_t i = g - TILE_GROUPS; i >= 0 && i < groups && i < g; i++) {
      int64_t block = i * f.group / 32;
      EVERY_TOKEN {
        const uint8_t *offset = x->offsets[first + t] + 4 * i;
        ints group;
        memcpy(&group, products[i / TILE_GROUPS % 2][i % TILE_GROUPS][t], sizeof group);
        if (f.zero && !has_minimum(f)) group = add_ints(group, load_offset(offset));
        sum[t] = fused_multiply_add(floats_of(group), multiply(w->scales[i], load_factor(x->scales[first + t] + 4 * block)), sum[t]);
        if (has_minimum(f)) sum[t] = fused_multiply_add(w->minima[i], load_factor(offset), sum[t]);
      }
    }
  }
  EVERY_TOKEN store_vec(sums + t * TILE_ROWS, sum[t]);
#undef EVERY_TOKEN
}

BODY void gemm_int8_tiles(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const uint8_t *x, int64_t m, int64_t segment,
                          float *y, int64_t y_stride, float *scratch) {
  float *sums = scratch, *totals = sums + TILE_ROWS * MOE_GEMM_ROWS;
  token_run *tokens = (token_run *)(totals + TILE_ROWS * MOE_GEMM_ROWS);
  uint8_t *packed = (uint8_t *)(tokens + 1), *flat = packed + 4 * CODE_ROWS * INT8_RUN;
  weight_run weights;
  tile_file tiles;
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    shapes.rows[i] = i < 6 ? TILE_ROWS : (uint8_t)(f.group / 4);
    shapes.row_bytes[i] = i == 4 || i == 5 ? (uint16_t)f.group : TILE_ROW_BYTES;
  }
  configure_tiles(&tiles, &shapes);
  bool lies_in_panels = w->layout == MOE_PANELS;
  int64_t k = w->columns, size = lies_in_panels ? unit_bytes(f, k) : 2 * CODE_ROWS * INT8_RUN;
  for (int64_t r = row_begin; r < row_end; r += TILE_ROWS) {
    int64_t count = row_end - r < TILE_ROWS ? row_end - r : TILE_ROWS, panel = count > CODE_ROWS ? size : 0;
    for (int64_t begin = 0, end; begin < k; begin = end) {
      end = k - begin < segment ? k : begin + segment;
      memset(sums, 0, (size_t)((m + 7) / 8 * 8 * TILE_ROWS) * sizeof(float));
      for (int64_t c = begin, columns; c < end; c += columns) {
        columns = end - c < INT8_RUN ? end - c : INT8_RUN;
        const uint8_t *unit = lies_in_panels ? (const uint8_t *)w->data + r / CODE_ROWS * size + unit_bytes(f, c) : packed;
        for (int64_t p = 0; !lies_in_panels && p < count; p += CODE_ROWS)
          pack_run(f, w, r + p, count - p < CODE_ROWS ? count - p : CODE_ROWS, c, columns, packed + p / CODE_ROWS * size, flat);
        unpack_weights(f, unit, panel, columns, &weights);
        take_tokens(f, x, m, k, c, columns, tokens);
        for (int64_t t = 0; t < m; t += TILE_ROWS) {
          if (m - t > 8)
            multiply_run_by_tiles(f, &tiles, &weights, tokens, t, 16, columns, sums + t * TILE_ROWS);
          else
            multiply_run_by_tiles(f, &tiles, &weights, tokens, t, 8, columns, sums + t * TILE_ROWS);
        }
      }
      for (int64_t j = 0; j < m * TILE_ROWS; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++) memcpy(y + i * y_stride + r - row_begin, totals + i * TILE_ROWS, (size_t)count * sizeof(float));
  }
  release_tiles(&tiles);
}
