// Grouped GEMM on int8 activations: quads of a panel's rows, lane = row, products summed as integers.
//
// A quad holds four neighbouring columns of a row in each lane, so that one multiplication by four broadcast activations serves all rows.
// Panels are read as they lie; published rows are packed into one, a run of 256 columns at a time.
#pragma once

#ifndef INT8_TOKENS
#define INT8_TOKENS 4
#endif
enum { INT8_RUN = 256, INT8_AHEAD = 4096, INT8_PANELS = VEC_ROWS / CODE_ROWS };
_Static_assert(4 * 2 * VEC_ROWS * MOE_GEMM_ROWS + (2 * INT8_PANELS + 1) * CODE_ROWS * INT8_RUN <= 4 * GEMM_SCRATCH, "sums, totals, panels, flat rows");

/// The activations of one tile of tokens, from some column on.
typedef struct int8_tile {
  const int8_t *codes[INT8_TOKENS];
  const float *scales[INT8_TOKENS], *sums[INT8_TOKENS];
} int8_tile;

/// Quads whose products a `words` sums exactly.
#ifdef WORDS_ARE_INTS
#define RUN_OF(group, run) ((group) / 4)
#else
#define RUN_OF(group, run) (run)
#endif

/// Columns [begin, end) of a vector's panels, read from `unit` on.
typedef struct int8_columns {
  const uint8_t *unit;
  /// Bytes from the first panel to the second where a vector holds two; behind the first panel's end, reading goes on after the second.
  int64_t panel;
  const uint8_t *panel_end;
  int64_t begin, end, columns, segment;
} int8_columns;

/// Asks for what the vectors' panels hold INT8_AHEAD bytes further on.
BODY void prefetch_codes(int8_columns w, const uint8_t *codes, int64_t bytes) {
  for (int64_t b = 0; b < bytes; b += 64) {
    const uint8_t *p = codes + INT8_AHEAD + b;
    if (INT8_PANELS > 1) p += p >= w.panel_end ? w.panel : 0;
    for (int i = 0; i < INT8_PANELS; i++) __builtin_prefetch(p + i * w.panel);
  }
}

/// Some columns for `tokens` tokens: sums[t * VEC_ROWS + r] goes on with the segment that they begin in, totals[t * VEC_ROWS + r] with the
/// segments before.
///
/// The integer sums of a group are exact; groups follow in order, each with one fused multiply-add for the scale and, where codes
/// are unsigned, one for zero and minimum.
BODY void multiply_codes(code_format f, int8_columns w, int8_tile x, int tokens, float *sums, float *totals) {
  vec sum[INT8_TOKENS];
  int run = RUN_OF(f.group, f.run);
  for (int t = 0; t < tokens; t++) sum[t] = load_vec(sums + t * VEC_ROWS);
  for (int64_t at = w.begin, stop; at < w.end; at = stop) {
    stop = (at / w.segment + 1) * w.segment;
    if (stop > w.end) stop = w.end;
    for (int64_t begin = at - w.begin; begin < stop - w.begin; begin += f.values, w.unit += unit_bytes(f, f.values)) {
      const uint8_t *codes = w.unit + line_bytes(f);
      for (int64_t c = begin; c < begin + f.values; c += 32, codes += code_bytes(f)) {
        prefetch_codes(w, codes, unit_bytes(f, f.values) / (f.values / 32));
        for (int g = 0; g < 32 / f.group; g++) {
          ints group[INT8_TOKENS];
          words products[INT8_TOKENS];
          for (int q = 0; q < f.group / 4; q++) {
            bytes quad = load_quad(f, codes, w.panel, g * (f.group / 4) + q);
            for (int t = 0; t < tokens; t++) {
              bytes v = splat_quad(x.codes[t] + c + g * f.group + 4 * q);
              words before = q % run ? products[t] : no_words();
              products[t] = f.is_signed ? signed_dot(before, quad, v) : dot(before, quad, v);
              if ((q + 1) % run == 0) group[t] = q >= run ? add_ints(group[t], sum_words(products[t])) : sum_words(products[t]);
            }
          }
          vec scale, minimum;
          load_scales(f, w.unit, w.panel, (c - begin) / f.group + g, &scale, &minimum);
          if (!f.is_signed && f.zero) minimum = multiply(scale, splat(-f.zero));
          for (int t = 0; t < tokens; t++) {
            sum[t] = fused_multiply_add(floats_of(group[t]), multiply(scale, splat(x.scales[t][c / 32])), sum[t]);
            if (!f.is_signed) sum[t] = fused_multiply_add(minimum, splat(x.sums[t][c / 32]), sum[t]);
          }
        }
      }
    }
    if (stop % w.segment && stop < w.columns) continue;
    for (int t = 0; t < tokens; t++) {
      float *total = totals + t * VEC_ROWS;
      store_vec(total, stop > w.segment ? add_vec(load_vec(total), sum[t]) : sum[t]);
      sum[t] = splat(0);
    }
  }
  for (int t = 0; t < tokens; t++) store_vec(sums + t * VEC_ROWS, sum[t]);
}

/// `multiply_codes` with the number of tokens known at compile time.
BODY void multiply_tile(code_format f, int8_columns w, int8_tile x, int64_t tokens, float *sums, float *totals) {
#define CASE(n) \
  case n: if (n <= INT8_TOKENS) multiply_codes(f, w, x, n, sums, totals); break;
  switch (tokens) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
#undef CASE
}

BODY void gemm_int8(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const moe_int8_rows *x, const int32_t *rows,
                    int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  float *sums = scratch, *totals = sums + VEC_ROWS * MOE_GEMM_ROWS;
  uint8_t *packed = (uint8_t *)(totals + VEC_ROWS * MOE_GEMM_ROWS), *flat = packed + INT8_PANELS * 2 * CODE_ROWS * INT8_RUN;
  bool lies_in_panels = w->layout == MOE_PANELS;
  int64_t k = w->columns, run = lies_in_panels ? k : INT8_RUN, size = lies_in_panels ? unit_bytes(f, k) : 2 * CODE_ROWS * INT8_RUN;
  for (int64_t r = row_begin; r < row_end; r += VEC_ROWS) {
    int64_t count = row_end - r < VEC_ROWS ? row_end - r : VEC_ROWS;
    const uint8_t *unit = lies_in_panels ? (const uint8_t *)w->data + r / CODE_ROWS * size : packed;
    int8_columns part = {.unit = unit, .panel = count > CODE_ROWS ? size : 0, .panel_end = unit + size, .columns = k, .segment = segment};
    memset(sums, 0, (size_t)(m * VEC_ROWS) * sizeof(float));
    memset(totals, 0, (size_t)(m * VEC_ROWS) * sizeof(float));
    for (part.begin = 0; part.begin < k; part.begin = part.end) {
      part.end = k - part.begin < run ? k : part.begin + run;
      for (int64_t p = 0; !lies_in_panels && p < count; p += CODE_ROWS)
        pack_run(f, w, r + p, count - p < CODE_ROWS ? count - p : CODE_ROWS, part.begin, part.end - part.begin, packed + p / CODE_ROWS * size, flat);
      for (int64_t i = 0; i < m; i += INT8_TOKENS) {
        int8_tile tile;
        int64_t tokens = m - i < INT8_TOKENS ? m - i : INT8_TOKENS;
        for (int64_t t = 0; t < tokens; t++) {
          int64_t at = (rows ? (int64_t)rows[i + t] : i + t) * x->stride + part.begin;
          tile.codes[t] = x->codes + at, tile.scales[t] = x->scales + at / 32, tile.sums[t] = x->sums + at / 32;
        }
        multiply_tile(f, part, tile, tokens, sums + i * VEC_ROWS, totals + i * VEC_ROWS);
      }
    }
    for (int64_t i = 0; i < m; i++) memcpy(y + i * y_stride + r - row_begin, totals + i * VEC_ROWS, (size_t)count * sizeof(float));
  }
}
