// Grouped GEMM on f32 activations: weight rows side by side, lane = row, meet every token.
//
// y[m, n] = x[m, k] w[n, k]^T; x rows may be gathered. Panels of plain elements are read as they lie, or widened once for all tokens, a run of
// 256 columns at a time, where that pays; few tokens meet panels of codes in registers; everything else is always widened. A block of rows is
// FLOAT_VECS vectors. All ways give the same bits.
#pragma once

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
  code_format codes = in_matrix(code_formats[format], w);
  bool codes_lie_in_panels = codes.values && w->layout == MOE_PANELS;
#if FEW_TOKENS > 0
  if (codes_lie_in_panels && m <= FEW_TOKENS) {
    gemm_few(w, row_begin, row_end, x, x_stride, rows, m, segment, y, y_stride, scratch);
    return;
  }
#endif
  float *flat = scratch, *wide = flat + PANEL * RUN, *sums = wide + FLOAT_ROWS * RUN, *totals = sums + FLOAT_ROWS * MOE_GEMM_ROWS;
  bool plain = is_plain[format], as_they_lie = plain && w->layout == MOE_PANELS;
  bool widens = !as_they_lie || (format != INDEX_f32 && m > FLOAT_NARROW);
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
          else if (codes_lie_in_panels)
            widen_codes(codes, w, at, c, columns, wide + p * PANEL * RUN);
          else
            widen_panel(w, decode, format, at, row_end - at < PANEL ? row_end - at : PANEL, c, columns, flat, wide + p * PANEL * RUN);
        }
        float_reading reading = reading_of(elements, c, columns, k, PANEL * width, panels);
        if (!as_they_lie) reading.lines = 0;
        for (int64_t i = 0, tokens; i < m; i += tokens) {
          tokens = next_tile(m - i, FLOAT_TOKENS);
          const float *tile[FLOAT_TOKENS];
          for (int64_t t = 0; t < tokens; t++) tile[t] = x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride + c;
          float_ahead ahead = share_of(&reading, tokens, m);
          multiply(run, widens ? 4 * PANEL * RUN : k * PANEL * width, panels, columns, tile, tokens, sums + i * lanes, c == begin, ahead);
        }
      }
      for (int64_t j = 0; j < m * lanes; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t q = 0; q < lanes && q < row_end - r; q++) y[i * y_stride + r - row_begin + q] = totals[i * lanes + q];
  }
}
