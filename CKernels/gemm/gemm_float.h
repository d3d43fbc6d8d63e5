// Grouped GEMM on f32 activations: 16 weight rows side by side, lane = row, meet every token.
//
// y[m, n] = x[m, k] w[n, k]^T; x rows may be gathered. Weights are widened once for all tokens, a run of 256 columns at a time, into a
// panel that stays in the first cache; panels of plain elements are read as they lie where few tokens come.
#pragma once

#ifndef FLOAT_TOKENS
#define FLOAT_TOKENS 6
#endif
enum { PANEL = PLAIN_ROWS, RUN = 256, FLOAT_AHEAD = 2048, FLOAT_VECS = PANEL / VEC_ROWS };
_Static_assert(2 * PANEL * RUN + 2 * PANEL * MOE_GEMM_ROWS <= GEMM_SCRATCH, "flat rows, a panel, sums and totals");

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
          vec scale, minimum;
          load_scales(f, unit, next, (c - begin) / f.group + g, &scale, &minimum);
          for (int q = g * (f.group / 4); q < (g + 1) * (f.group / 4); q++) {
            bytes quad = load_quad(f, codes, next, q);
            for (int j = 0; j < 4; j++) {
              ints level = column_of(quad, j, f.is_signed);
              if (!f.is_signed && f.zero) level = subtract_ints(level, splat_int(f.zero));
              vec v = multiply(floats_of(level), scale);
              store_vec(panel + (c + 4 * q + j) * PANEL + r, has_minimum(f) ? add_vec(v, minimum) : v);
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

/// One run of columns for `tokens` tokens: sums[t * 16 + r] += panel[c * 16 + r] * x[t][c], the panel's elements as in `format`.
BODY void multiply_run(int format, const uint8_t *panel, int64_t count, const float *const *x, int tokens, float *sums, bool first) {
  int64_t width = element_bytes(format);
  vec sum[FLOAT_TOKENS][FLOAT_VECS];
  for (int t = 0; t < tokens; t++)
    for (int i = 0; i < FLOAT_VECS; i++) sum[t][i] = splat(0);
  for (int64_t c = 0; c < count; c++, panel += PANEL * width) {
    vec weights[FLOAT_VECS];
    __builtin_prefetch(panel + FLOAT_AHEAD);
    for (int i = 0; i < FLOAT_VECS; i++) weights[i] = load_elements(format, panel + i * VEC_ROWS * width);
    for (int t = 0; t < tokens; t++) {
      vec v = splat(x[t][c]);
      for (int i = 0; i < FLOAT_VECS; i++) sum[t][i] = multiply_add(weights[i], v, sum[t][i]);
    }
  }
  for (int t = 0; t < tokens; t++)
    for (int i = 0; i < FLOAT_VECS; i++) {
      float *out = sums + t * PANEL + i * VEC_ROWS;
      store_vec(out, first ? sum[t][i] : add_vec(load_vec(out), sum[t][i]));
    }
}

/// `multiply_run` with the number of tokens known at compile time.
BODY void multiply_tokens(int format, const uint8_t *panel, int64_t count, const float *const *x, int64_t tokens, float *sums, bool first) {
#define CASE(n) \
  case n: if (n <= FLOAT_TOKENS) multiply_run(format, panel, count, x, n, sums, first); break;
  switch (tokens) { FOR_TOKENS(CASE) }
#undef CASE
}

BODY void gemm_float(const moe_matrix *w, decoder decode, int format, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride,
                     const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  float *flat = scratch, *panel = flat + PANEL * RUN, *sums = panel + PANEL * RUN, *totals = sums + PANEL * MOE_GEMM_ROWS;
  bool plain = is_plain[format], as_they_lie = plain && w->layout == MOE_PANELS;
  code_format codes = code_formats[format];
  int64_t k = w->columns, width = element_bytes(format);
  for (int64_t r = row_begin; r < row_end; r += PANEL) {
    int64_t count = row_end - r < PANEL ? row_end - r : PANEL;
    memset(totals, 0, (size_t)(m * PANEL) * sizeof(float));
    for (int64_t begin = 0; begin < k; begin += segment) {
      int64_t end = k - begin < segment ? k : begin + segment;
      for (int64_t c = begin; c < end; c += RUN) {
        int64_t columns = end - c < RUN ? end - c : RUN;
        const uint8_t *elements = (const uint8_t *)w->data + (r * k + c * PANEL) * width;
        bool widens = !as_they_lie || (format != INDEX_f32 && m > 2 * FLOAT_TOKENS);
        if (as_they_lie) {
          if (widens) widen_elements(format, elements, columns, panel);
        } else if (codes.values && w->layout == MOE_PANELS) {
          widen_codes(codes, w, r, c, columns, panel);
        } else {
          widen_panel(w, decode, format, r, count, c, columns, flat, panel);
        }
        for (int64_t i = 0, tokens; i < m; i += tokens) {
          tokens = next_tile(m - i, FLOAT_TOKENS);
          const float *tile[FLOAT_TOKENS];
          for (int64_t t = 0; t < tokens; t++) tile[t] = x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride + c;
          if (plain && !widens)
            multiply_tokens(format, elements, columns, tile, tokens, sums + i * PANEL, c == begin);
          else
            multiply_tokens(INDEX_f32, (const uint8_t *)panel, columns, tile, tokens, sums + i * PANEL, c == begin);
        }
      }
      for (int64_t j = 0; j < m * PANEL; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t q = 0; q < count; q++) y[i * y_stride + r - row_begin + q] = totals[i * PANEL + q];
  }
}
