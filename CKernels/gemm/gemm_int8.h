// Grouped GEMM on int8 activations: quads of a panel's rows, lane = row, products summed as integers.
//
// A quad holds four neighbouring columns of a row in each lane, so that one multiplication by four broadcast activations serves all rows.
// Panels are read as they lie; published rows are packed into one, a run of 256 columns at a time.
#pragma once

#ifndef INT8_TOKENS
#define INT8_TOKENS 4
#endif
enum { INT8_RUN = 256, INT8_AHEAD = 1536, INT8_PANELS = VEC_ROWS / CODE_ROWS };

/// The activations of one tile of tokens, from some column on.
typedef struct int8_tile {
  const int8_t *codes[INT8_TOKENS];
  const float *scales[INT8_TOKENS], *sums[INT8_TOKENS];
} int8_tile;

/// Quads whose products a `words` sums exactly.
BODY int run_of(code_format f) {
#ifdef WORDS_ARE_INTS
  return f.group / 4;
#else
  return f.run;
#endif
}

/// `columns` columns of a vector's panels for `tokens` tokens: sums[t * VEC_ROWS + r] += the weights' products with the activations.
///
/// The integer sums of a group are exact; groups follow in order, each with one fused multiply-add for the scale and, where codes
/// are unsigned, one for zero and minimum.
BODY void multiply_codes(code_format f, const uint8_t *unit, int64_t panel, int64_t columns, int8_tile x, int tokens, float *sums) {
  vec total[INT8_TOKENS];
  int run = run_of(f);
  for (int t = 0; t < tokens; t++) total[t] = load_vec(sums + t * VEC_ROWS);
  for (int64_t begin = 0; begin < columns; begin += f.values, unit += unit_bytes(f, f.values)) {
    const uint8_t *codes = unit + line_bytes(f);
    for (int64_t c = begin; c < begin + f.values; c += 32, codes += code_bytes(f)) {
      for (int64_t b = 0; b < unit_bytes(f, f.values) / (f.values / 32); b += 64)
        for (int p = 0; p < INT8_PANELS; p++) __builtin_prefetch(codes + p * panel + INT8_AHEAD + b);
      for (int g = 0; g < 32 / f.group; g++) {
        ints group[INT8_TOKENS];
        words products[INT8_TOKENS];
        for (int q = 0; q < f.group / 4; q++) {
          bytes quad = load_quad(f, codes, panel, g * (f.group / 4) + q);
          for (int t = 0; t < tokens; t++) {
            bytes v = splat_quad(x.codes[t] + c + g * f.group + 4 * q);
            words before = q % run ? products[t] : no_words();
            products[t] = f.is_signed ? signed_dot(before, quad, v) : dot(before, quad, v);
            if ((q + 1) % run == 0) group[t] = q >= run ? add_ints(group[t], sum_words(products[t])) : sum_words(products[t]);
          }
        }
        vec scale, minimum;
        load_scales(f, unit, panel, (c - begin) / f.group + g, &scale, &minimum);
        if (!f.is_signed && f.zero) minimum = multiply(scale, splat(-f.zero));
        for (int t = 0; t < tokens; t++) {
          total[t] = fused_multiply_add(floats_of(group[t]), multiply(scale, splat(x.scales[t][c / 32])), total[t]);
          if (!f.is_signed) total[t] = fused_multiply_add(minimum, splat(x.sums[t][c / 32]), total[t]);
        }
      }
    }
  }
  for (int t = 0; t < tokens; t++) store_vec(sums + t * VEC_ROWS, total[t]);
}

/// `multiply_codes` with the number of tokens known at compile time.
BODY void multiply_tile(code_format f, const uint8_t *units, int64_t panel, int64_t columns, int8_tile x, int64_t tokens, float *sums) {
#define CASE(n) \
  case n: if (n <= INT8_TOKENS) multiply_codes(f, units, panel, columns, x, n, sums); break;
  switch (tokens) { CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) }
#undef CASE
}

BODY void gemm_int8(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const moe_int8_rows *x, const int32_t *rows,
                    int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  float *sums = scratch, *totals = sums + VEC_ROWS * MOE_GEMM_ROWS;
  uint8_t *packed = (uint8_t *)(totals + VEC_ROWS * MOE_GEMM_ROWS), *flat = packed + INT8_PANELS * 2 * CODE_ROWS * INT8_RUN;
  bool lies_in_panels = w->layout == MOE_PANELS;
  int64_t k = w->columns, run = lies_in_panels ? segment : INT8_RUN;
  for (int64_t r = row_begin; r < row_end; r += VEC_ROWS) {
    int64_t count = row_end - r < VEC_ROWS ? row_end - r : VEC_ROWS;
    const uint8_t *first = (const uint8_t *)w->data + r / CODE_ROWS * unit_bytes(f, k);
    int64_t panel = count <= CODE_ROWS ? 0 : lies_in_panels ? unit_bytes(f, k) : 2 * CODE_ROWS * INT8_RUN;
    memset(totals, 0, (size_t)(m * VEC_ROWS) * sizeof(float));
    for (int64_t begin = 0; begin < k; begin += segment) {
      int64_t end = k - begin < segment ? k : begin + segment;
      memset(sums, 0, (size_t)(m * VEC_ROWS) * sizeof(float));
      for (int64_t c = begin; c < end; c += run) {
        int64_t columns = end - c < run ? end - c : run;
        const uint8_t *units = lies_in_panels ? first + unit_bytes(f, c) : packed;
        for (int64_t p = 0; !lies_in_panels && p < count; p += CODE_ROWS)
          pack_run(f, w, r + p, count - p < CODE_ROWS ? count - p : CODE_ROWS, c, columns, packed + p / CODE_ROWS * panel, flat);
        for (int64_t i = 0; i < m; i += INT8_TOKENS) {
          int8_tile tile;
          int64_t tokens = m - i < INT8_TOKENS ? m - i : INT8_TOKENS;
          for (int64_t t = 0; t < tokens; t++) {
            int64_t at = (rows ? (int64_t)rows[i + t] : i + t) * x->stride + c;
            tile.codes[t] = x->codes + at, tile.scales[t] = x->scales + at / 32, tile.sums[t] = x->sums + at / 32;
          }
          multiply_tile(f, units, panel, columns, tile, tokens, sums + i * VEC_ROWS);
        }
      }
      for (int64_t j = 0; j < m * VEC_ROWS; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t q = 0; q < count; q++) y[i * y_stride + r - row_begin + q] = totals[i * VEC_ROWS + q];
  }
}
