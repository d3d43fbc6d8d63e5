// Grouped GEMM on f32 activations: weight rows side by side, lane = row, meet every token.
//
// y[m, n] = x[m, k] w[n, k]^T; x rows may be gathered. Panels of plain elements are read as they lie, or widened once for all tokens, a run of
// 256 columns at a time, where that pays; everything else is always widened. A block of rows is FLOAT_VECS vectors.
#pragma once

#ifndef FLOAT_TOKENS
#define FLOAT_TOKENS 6
#endif
#ifndef FLOAT_VECS
#define FLOAT_VECS (PLAIN_ROWS / VEC_ROWS)
#endif
/// The most tokens for which plain elements narrower than f32 are not widened first.
#ifndef FLOAT_NARROW
#define FLOAT_NARROW (2 * FLOAT_TOKENS)
#endif
enum {
  PANEL = PLAIN_ROWS, RUN = 256, FLOAT_STEP = 16,
  PANEL_VECS = PANEL / VEC_ROWS, FLOAT_PANELS = FLOAT_VECS / PANEL_VECS, FLOAT_ROWS = FLOAT_PANELS * PANEL,
  FLOAT_AHEAD = FLOAT_PANELS > 1 ? 2048 : 6144
};
_Static_assert((PANEL + FLOAT_ROWS) * RUN + 2 * FLOAT_ROWS * MOE_GEMM_ROWS <= GEMM_SCRATCH, "flat rows, panels, sums and totals");

typedef void (*decoder)(const void *, int64_t, float, float, float *);

/// Eight neighbouring values of a row of plain elements.
BODY eight load_eight_elements(int format, const uint8_t *p) {
  return format == INDEX_f16 ? load_half_eight(p) : format == INDEX_bf16 ? load_bfloat_eight(p) : load_eight((const float *)p);
}

/// A vector of neighbouring plain elements.
BODY vec load_elements(int format, const uint8_t *p) {
  return format == INDEX_f16 ? load_half_vec(p, 16) : format == INDEX_bf16 ? load_bfloat_vec(p) : load_vec((const float *)p);
}

/// Columns [column, column + count) of 16 rows (missing ones zero), widened and turned: panel[c * 16 + r].
BODY void widen_panel(const moe_matrix *w, decoder decode, int format, int64_t first, int64_t rows, int64_t column, int64_t count, float *flat,
                      float *panel) {
  const moe_format *f = moe_format_at(format);
  bool plain = is_plain[format];
  const uint8_t *data = (const uint8_t *)w->data + first * w->row_bytes + column / f->block_values * f->block_bytes;
  int64_t padded = (count + 7) / 8 * 8, run_bytes = count / f->block_values * f->block_bytes, width = plain ? f->block_bytes : 0;
  int64_t ahead = next_run(w, PANEL, column, count, run_bytes);
  if (plain && rows == PANEL && padded == count) {
    for (int64_t r = 0; r < PANEL; r += 8)
      for (int64_t c = 0; c < count; c += 8) {
        eight v[8];
        const uint8_t *p = data + r * w->row_bytes + c * width;
        if (c * width % 64 == 0)
          for (int i = 0; i < 8; i++) __builtin_prefetch(p + i * w->row_bytes + ahead);
        for (int i = 0; i < 8; i++) v[i] = load_eight_elements(format, p + i * w->row_bytes);
        store_turned(v, panel + c * PANEL + r, PANEL);
      }
    return;
  }
  for (int64_t r = 0; r < PANEL; r++) {
    float *out = flat + r * RUN;
    if (r >= rows) {
      memset(out, 0, (size_t)padded * sizeof(float));
      continue;
    }
    prefetch_run(data + r * w->row_bytes + ahead, run_bytes);
    if (w->scale_type == MOE_SCALE_NONE)
      decode(data + r * w->row_bytes, count, w->global_scale, 0, out);
    else
      decode_columns(w, f, first + r, column, count, out);
    for (int64_t c = count; c < padded; c++) out[c] = 0;
  }
  for (int64_t r = 0; r < PANEL; r += 8)
    for (int64_t c = 0; c < padded; c += 8) {
      eight v[8];
      for (int i = 0; i < 8; i++) v[i] = load_eight(flat + (r + i) * RUN + c);
      store_turned(v, panel + c * PANEL + r, PANEL);
    }
}

/// Likewise from panels of codes.
BODY void widen_codes(code_format f, const moe_matrix *w, int64_t first, int64_t column, int64_t count, float *panel) {
  int64_t size = unit_bytes(f, w->columns);
  for (int64_t r = 0; r < PANEL && first + r < w->rows; r += VEC_ROWS) {
    const uint8_t *unit = (const uint8_t *)w->data + (first + r) / CODE_ROWS * size + unit_bytes(f, column);
    int64_t next = first + r + CODE_ROWS < w->rows ? size : 0;
    for (int64_t begin = 0; begin < count; begin += f.values, unit += unit_bytes(f, f.values)) {
      const uint8_t *codes = unit + line_bytes(f);
      for (int64_t c = begin; c < begin + f.values; c += 32, codes += code_bytes(f))
        for (int g = 0; g < 32 / f.group; g++) {
          vec scale, minimum, shift = load_shifts(f, unit, next);
          load_scales(f, unit, next, (c - begin) / f.group + g, &scale, &minimum);
          for (int q = g * (f.group / 4); q < (g + 1) * (f.group / 4); q++) {
            bytes quad = load_quad(f, codes, next, q);
            for (int j = 0; j < 4; j++) {
              vec v = floats_of(column_of(quad, j, f.is_signed));
              if (f.zero || f.lines == LINES_PLANES) v = add_vec(v, shift);
              v = multiply(v, scale);
              store_vec(panel + (c + 4 * q + j) * PANEL + r, has_minimum(f) && f.lines != LINES_PLANES ? add_vec(v, minimum) : v);
            }
          }
        }
    }
  }
  for (int64_t r = (w->rows - first + VEC_ROWS - 1) / VEC_ROWS * VEC_ROWS; r < PANEL; r += VEC_ROWS)
    for (int64_t c = 0; c < count; c++) store_vec(panel + c * PANEL + r, splat(0));
}

/// Likewise from a panel of plain elements.
BODY void widen_elements(int format, const uint8_t *elements, int64_t count, float *panel) {
  int64_t width = element_bytes(format);
  for (int64_t j = 0; j < count * PANEL; j += VEC_ROWS) store_vec(panel + j, load_elements(format, elements + j * width));
}

/// Bytes to ask for while a run is multiplied: `lines` cache lines for every FLOAT_STEP columns, from `at` on and `panel` bytes behind it.
typedef struct float_ahead {
  const uint8_t *at;
  int64_t lines, panel;
} float_ahead;

/// One run of columns for `tokens` tokens: sums[(t * panels + p) * 16 + r] += panel[p][c * 16 + r] * x[t][c], the panels' elements as in `format`.
BODY void multiply_run(int format, const uint8_t *panel, int64_t second, int panels, int64_t count, const float *const *x, int tokens, float *sums,
                       bool first, float_ahead ahead) {
  int64_t width = element_bytes(format);
  int vecs = panels * PANEL_VECS;
  vec sum[FLOAT_TOKENS][FLOAT_VECS];
  UNROLLED for (int t = 0; t < tokens; t++)
    UNROLLED for (int i = 0; i < vecs; i++) sum[t][i] = splat(0);
  for (int64_t begin = 0; begin < count; begin += FLOAT_STEP) {
    int64_t end = count - begin < FLOAT_STEP ? count : begin + FLOAT_STEP;
    for (int64_t i = 0; i < ahead.lines; i++, ahead.at += 64) {
      __builtin_prefetch(ahead.at);
      if (panels > 1) __builtin_prefetch(ahead.at + ahead.panel);
    }
    for (int64_t c = begin; c < end; c++, panel += PANEL * width) {
      vec weights[FLOAT_VECS];
      UNROLLED for (int i = 0; i < vecs; i++)
        weights[i] = load_elements(format, panel + (i / PANEL_VECS) * second + (i % PANEL_VECS) * VEC_ROWS * width);
      UNROLLED for (int t = 0; t < tokens; t++) {
        vec v = splat(x[t][c]);
        UNROLLED for (int i = 0; i < vecs; i++) sum[t][i] = multiply_add(weights[i], v, sum[t][i]);
      }
    }
  }
  for (int t = 0; t < tokens; t++)
    for (int i = 0; i < vecs; i++) {
      float *out = sums + (t * vecs + i) * VEC_ROWS;
      store_vec(out, first ? sum[t][i] : add_vec(load_vec(out), sum[t][i]));
    }
}

/// `multiply_run` with the numbers of tokens and panels known to each of its cases: a function for each kind of plain elements.
#define FLOAT_PARAMETERS                                                                                                                       \
  const uint8_t *panel, int64_t second, int panels, int64_t count, const float *const *x, int64_t tokens, float *sums, bool first, float_ahead ahead
#define FLOAT_TILE(n, panels) multiply_run(format, panel, second, panels, count, x, n, sums, first, ahead)
#define FLOAT_CASE(n)                                                                             \
  case n:                                                                                         \
    if (n <= FLOAT_TOKENS && panels == 1) FLOAT_TILE(n, 1);                                       \
    if (n <= FLOAT_TOKENS && panels > 1 && FLOAT_PANELS > 1) FLOAT_TILE(n, FLOAT_PANELS);         \
    break;
#define MULTIPLY_PLAIN(f)                                                            \
  __attribute__((noinline)) static void JOIN(multiply_##f, ISA)(FLOAT_PARAMETERS) { \
    const int format = INDEX_##f;                                                    \
    switch (tokens) { FOR_TOKENS(FLOAT_CASE) }                                       \
  }
MOE_PLAIN_FORMATS(MULTIPLY_PLAIN)

typedef void (*plain_product)(FLOAT_PARAMETERS);
BODY plain_product plain_product_of(int format) {
  return format == INDEX_f16 ? JOIN(multiply_f16, ISA) : format == INDEX_bf16 ? JOIN(multiply_bf16, ISA) : JOIN(multiply_f32, ISA);
}

BODY void gemm_float(const moe_matrix *w, decoder decode, int format, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride,
                     const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  float *flat = scratch, *wide = flat + PANEL * RUN, *sums = wide + FLOAT_ROWS * RUN, *totals = sums + FLOAT_ROWS * MOE_GEMM_ROWS;
  bool plain = is_plain[format], as_they_lie = plain && w->layout == MOE_PANELS;
  bool widens = !as_they_lie || (format != INDEX_f32 && m > FLOAT_NARROW);
  code_format codes = in_matrix(code_formats[format], w);
  int64_t k = w->columns, width = element_bytes(format);
  plain_product multiply = plain_product_of(widens ? INDEX_f32 : format);
  for (int64_t r = row_begin; r < row_end; r += FLOAT_ROWS) {
    int panels = row_end - r > PANEL ? FLOAT_PANELS : 1;
    int64_t lanes = panels * PANEL;
    for (int64_t j = 0; j < m * lanes; j++) totals[j] = 0;
    for (int64_t begin = 0; begin < k; begin += segment) {
      int64_t end = k - begin < segment ? k : begin + segment;
      for (int64_t c = begin; c < end; c += RUN) {
        int64_t columns = end - c < RUN ? end - c : RUN;
        const uint8_t *elements = (const uint8_t *)w->data + (r * k + c * PANEL) * width, *run = widens ? (const uint8_t *)wide : elements;
        for (int p = 0; widens && p < panels; p++) {
          int64_t at = r + p * PANEL;
          if (as_they_lie)
            widen_elements(format, elements + p * PANEL * k * width, columns, wide + p * PANEL * RUN);
          else if (codes.values && w->layout == MOE_PANELS)
            widen_codes(codes, w, at, c, columns, wide + p * PANEL * RUN);
          else
            widen_panel(w, decode, format, at, row_end - at < PANEL ? row_end - at : PANEL, c, columns, flat, wide + p * PANEL * RUN);
        }
        // The tiles share out what is read next; one tile alone reads on a little ahead of itself.
        int64_t steps = (columns + FLOAT_STEP - 1) / FLOAT_STEP, lines = as_they_lie ? columns * PANEL * width / 64 : 0, asked = 0;
        const uint8_t *next = elements + (c + columns < k ? columns : k * (panels - 1) + columns) * PANEL * width;
        for (int64_t i = 0, tokens; i < m; i += tokens) {
          tokens = next_tile(m - i, FLOAT_TOKENS);
          const float *tile[FLOAT_TOKENS];
          for (int64_t t = 0; t < tokens; t++) tile[t] = x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride + c;
          float_ahead ahead = {next + asked * 64, (lines * tokens + m * steps - 1) / (m * steps), k * PANEL * width};
          if (tokens == m) ahead.at = elements + FLOAT_AHEAD;
          asked += ahead.lines * steps;
          multiply(run, widens ? 4 * PANEL * RUN : k * PANEL * width, panels, columns, tile, tokens, sums + i * lanes, c == begin, ahead);
        }
      }
      for (int64_t j = 0; j < m * lanes; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t q = 0; q < lanes && q < row_end - r; q++) y[i * y_stride + r - row_begin + q] = totals[i * lanes + q];
  }
}
