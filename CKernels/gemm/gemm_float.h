// Grouped GEMM on f32 activations: panels of 16 weight rows are widened once, lane = row, then meet every token.
//
// y[m, n] = x[m, k] w[n, k]^T; x rows may be gathered. A panel of 256 columns stays in the first cache while tiles of tokens pass.
#pragma once

enum { PANEL = 16, RUN = 256, TOKENS = 6 };

typedef void (*decoder)(const void *, int64_t, float, float, float *);

/// Columns [column, column + count) of 16 rows (missing ones zero), widened and turned: panel[c * 16 + r].
BODY void widen_panel(const moe_matrix *w, decoder decode, int64_t first, int64_t rows, int64_t column, int64_t count, float *flat, float *panel) {
  const moe_format *format = moe_format_at(w->format);
  int64_t padded = (count + 7) / 8 * 8;
  for (int64_t r = 0; r < PANEL; r++) {
    float *out = flat + r * RUN;
    if (r >= rows)
      memset(out, 0, (size_t)padded * sizeof(float));
    else if (w->scale_type == MOE_SCALE_NONE)
      decode((const uint8_t *)w->data + (first + r) * w->row_bytes + column / format->block_values * format->block_bytes, count,
             w->global_scale, 0, out);
    else
      decode_columns(w, format, first + r, column, count, out);
    for (int64_t c = count; r < rows && c < padded; c++) out[c] = 0;
  }
  for (int64_t c = 0; c < padded; c += 8)
    for (int64_t r = 0; r < PANEL; r += 8) transpose_vecs(flat + r * RUN + c, RUN, panel + c * PANEL + r, PANEL);
}

/// One run of columns for `tokens` tokens: sums[t * 16 + r] += panel[c * 16 + r] * x[t][c].
BODY void multiply_run(const float *panel, int64_t count, const float *const *x, int tokens, float *sums, bool first) {
  vec low[TOKENS], high[TOKENS];
  for (int t = 0; t < tokens; t++) low[t] = high[t] = splat(0);
  for (int64_t c = 0; c < count; c++) {
    vec a = load_vec(panel + c * PANEL), b = load_vec(panel + c * PANEL + 8);
    for (int t = 0; t < tokens; t++) {
      vec v = splat(x[t][c]);
      low[t] = multiply_add(a, v, low[t]);
      high[t] = multiply_add(b, v, high[t]);
    }
  }
  for (int t = 0; t < tokens; t++) {
    float *out = sums + t * PANEL;
    store_vec(out, first ? low[t] : add_vec(load_vec(out), low[t]));
    store_vec(out + 8, first ? high[t] : add_vec(load_vec(out + 8), high[t]));
  }
}

/// `multiply_run` with the number of tokens known at compile time.
BODY void multiply_tokens(const float *panel, int64_t count, const float *const *x, int64_t tokens, float *sums, bool first) {
  switch (tokens) {
    case 1: multiply_run(panel, count, x, 1, sums, first); break;
    case 2: multiply_run(panel, count, x, 2, sums, first); break;
    case 3: multiply_run(panel, count, x, 3, sums, first); break;
    case 4: multiply_run(panel, count, x, 4, sums, first); break;
    case 5: multiply_run(panel, count, x, 5, sums, first); break;
    default: multiply_run(panel, count, x, 6, sums, first);
  }
}

BODY void gemm_float(const moe_matrix *w, decoder decode, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride,
                     const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  float *flat = scratch, *panel = flat + PANEL * RUN, *sums = panel + PANEL * RUN, *totals = sums + PANEL * MOE_GEMM_ROWS;
  int64_t k = w->columns;
  for (int64_t r = row_begin; r < row_end; r += PANEL) {
    int64_t count = row_end - r < PANEL ? row_end - r : PANEL;
    memset(totals, 0, (size_t)(m * PANEL) * sizeof(float));
    for (int64_t begin = 0; begin < k; begin += segment) {
      int64_t end = k - begin < segment ? k : begin + segment;
      for (int64_t c = begin; c < end; c += RUN) {
        int64_t columns = end - c < RUN ? end - c : RUN;
        widen_panel(w, decode, r, count, c, columns, flat, panel);
        for (int64_t i = 0; i < m; i += TOKENS) {
          int64_t tokens = m - i < TOKENS ? m - i : TOKENS;
          const float *tile[TOKENS];
          for (int64_t t = 0; t < tokens; t++) tile[t] = x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride + c;
          multiply_tokens(panel, columns, tile, tokens, sums + i * PANEL, c == begin);
        }
      }
      for (int64_t j = 0; j < m * PANEL; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t q = 0; q < count; q++) y[i * y_stride + r - row_begin + q] = totals[i * PANEL + q];
  }
}
