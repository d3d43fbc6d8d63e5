// Float products of few tokens on panels of codes: widened in registers, columns in order.
//
// The sum of a run is a chain of multiply-adds, so that runs which lie behind one another are summed side by side.
#pragma once

/// The most runs of columns side by side, and how far is asked for ahead.
enum { CHAINS = 4, CODES_AHEAD = 4096 };

/// Runs of columns of a vector's panels, the second panel `panel` bytes behind the first, which ends at `panel_end`.
typedef struct code_runs {
  const uint8_t *unit, *panel_end;
  int64_t panel, count;
  /// Columns of a block, and the matrix's global scale.
  int values;
  float global;
} code_runs;

/// `runs` runs, each behind the other, for `tokens` tokens: sums[(i * tokens + t) * VEC_ROWS + r] of run i. Several are whole ones.
BODY void multiply_codes(code_format f, code_runs w, int runs, const float *const *x, int tokens, float *sums) {
  if (has_blocks_of_matrix(f)) f.values = w.values;
  f.global = w.global;
  int64_t count = runs > 1 ? RUN : w.count, next = unit_bytes(f, RUN), ahead = (CODES_AHEAD / (runs * next) + 1) * runs * next;
  vec sum[CHAINS][FEW_TOKENS];
  UNROLLED for (int i = 0; i < runs; i++)
    UNROLLED for (int t = 0; t < tokens; t++) sum[i][t] = splat(0);
  for (int64_t begin = 0; begin < count; begin += f.values, w.unit += unit_bytes(f, f.values)) {
    const uint8_t *codes = w.unit + line_bytes(f);
    for (int64_t c = begin; c < begin + f.values; c += 32, codes += code_bytes(f)) {
      UNROLLED for (int i = 0; i < runs; i++)
        prefetch_codes(w.panel, w.panel_end, codes + i * next, ahead, unit_bytes(f, f.values) / (f.values / 32));
      UNROLLED for (int g = 0; g < 32 / f.group; g++) {
        vec scale[CHAINS], minimum[CHAINS];
        UNROLLED for (int i = 0; i < runs; i++) load_units(f, w.unit + i * next, w.panel, (c - begin) / f.group + g, &scale[i], &minimum[i]);
        UNROLLED for (int q = g * (f.group / 4); q < (g + 1) * (f.group / 4); q++)
          UNROLLED for (int i = 0; i < runs; i++) {
            bytes levels = load_levels(f, codes + i * next, w.panel, q);
            UNROLLED for (int j = 0; j < 4; j++) {
              vec v = value_of(f, levels, j, scale[i], minimum[i]);
              UNROLLED for (int t = 0; t < tokens; t++) sum[i][t] = multiply_add(v, splat(x[t][i * RUN + c + 4 * q + j]), sum[i][t]);
            }
          }
      }
    }
  }
  for (int i = 0; i < runs; i++)
    for (int t = 0; t < tokens; t++) store_vec(sums + (i * tokens + t) * VEC_ROWS, sum[i][t]);
}

/// A function for each format and number of tokens.
typedef void (*few_product)(code_runs w, int64_t runs, const float *const *x, float *sums);
#define FEW_PRODUCT(f, n)                                                                                                                      \
  __attribute__((noinline)) static void JOIN(multiply_##f##_##n, ISA)(code_runs w, int64_t runs, const float *const *x, float *sums) {        \
    switch (runs) {                                                                                                                            \
      case 1: multiply_codes(code_formats[INDEX_##f], w, 1, x, n, sums); break;                                                               \
      case 2: multiply_codes(code_formats[INDEX_##f], w, 2, x, n, sums); break;                                                               \
      case 3: if (n <= 2) multiply_codes(code_formats[INDEX_##f], w, 3, x, n, sums); break;                                                   \
      case 4: if (n <= 2) multiply_codes(code_formats[INDEX_##f], w, 4, x, n, sums); break;                                                   \
    }                                                                                                                                          \
  }
#define FEW_PRODUCTS(f, ...) FEW_PRODUCT(f, 1) FEW_PRODUCT(f, 2) FEW_PRODUCT(f, 3) FEW_PRODUCT(f, 4)
MOE_PANEL_FORMATS(FEW_PRODUCTS)
#define PRODUCTS_OF(f, ...) \
  [INDEX_##f] = {JOIN(multiply_##f##_1, ISA), JOIN(multiply_##f##_2, ISA), JOIN(multiply_##f##_3, ISA), JOIN(multiply_##f##_4, ISA)},
static const few_product few_products[FORMATS][FEW_TOKENS] = {MOE_PANEL_FORMATS(PRODUCTS_OF)};

/// `gemm_float` for up to FEW_TOKENS tokens. Where segments are made of whole runs, those of several are summed side by side.
static void gemm_few(const moe_matrix *w, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride, const int32_t *rows, int64_t m,
                     int64_t segment, float *y, int64_t y_stride, float *scratch) {
  if (m == 0) return;
  code_format f = in_matrix(code_formats[w->format], w);
  float *sums = scratch, *segments = sums + CHAINS * FEW_TOKENS * VEC_ROWS, *totals = segments + FEW_TOKENS * VEC_ROWS;
  int64_t k = w->columns, size = unit_bytes(f, k), most = m <= 2 ? CHAINS : CHAINS / 2;
  for (int64_t r = row_begin; r < row_end; r += VEC_ROWS) {
    const uint8_t *first = (const uint8_t *)w->data + r / CODE_ROWS * size;
    int64_t start = 0, stop = segment < k ? segment : k;
    for (int64_t c = 0, count, runs; c < k; c += runs * count) {
      int64_t whole = ((segment % RUN ? stop : k) - c) / RUN;
      runs = whole < 1 ? 1 : whole < most ? whole : most, count = whole < 1 ? stop - c : RUN;
      const float *tile[FEW_TOKENS];
      for (int64_t t = 0; t < m; t++) tile[t] = x + (rows ? (int64_t)rows[t] : t) * x_stride + c;
      code_runs part = {first + unit_bytes(f, c), first + size, row_end - r > CODE_ROWS ? size : 0, count, f.values, f.global};
      few_products[w->format][m - 1](part, runs, tile, sums);
      for (int64_t i = 0; i < runs; i++) {
        int64_t begin = c + i * count, end = begin + count;
        for (int64_t j = 0; j < m * VEC_ROWS; j += VEC_ROWS) {
          vec sum = load_vec(sums + i * m * VEC_ROWS + j);
          if (begin > start) sum = add_vec(load_vec(segments + j), sum);
          store_vec(segments + j, sum);
          if (end == stop) store_vec(totals + j, start ? add_vec(load_vec(totals + j), sum) : sum);
        }
        if (end == stop) start = stop, stop = k - stop < segment ? k : stop + segment;
      }
    }
    for (int64_t t = 0; t < m; t++) store_rows(y + t * y_stride + r - row_begin, totals + t * VEC_ROWS, row_end - r);
  }
}
