// Grouped GEMM on int8 activations where one instruction multiplies pairs of rows with pairs of tokens, eight columns deep.
//
// The ISA file that defines MULTIPLIES_PAIRS adds to the vocabulary:
//   octets   eight neighbouring codes a row, of two quads: side_by_side
//   squares  a sum of 32 bits for each row and each of two tokens: no_squares, multiply_octets, signed_multiply_octets, of_token
//   load_two eight activations of each of two tokens
// Sums of codes are exact integers and what follows is gemm_int8.h's in the same order, hence the same bits. One token alone and published
// rows are left to it.
#pragma once

enum { INT8_PAIRS = INT8_TOKENS / 2 };

/// All columns of one panel for `pairs` pairs of tokens: totals[t] in the lanes of the rows.
BODY void multiply_pairs(code_format f, const uint8_t *unit, int64_t columns, int64_t segment, int8_tile x, int pairs, vec totals[2 * INT8_PAIRS]) {
  int8_columns w = {.unit = unit, .panel_end = unit + unit_bytes(f, columns)};
  for (int64_t at = 0, stop; at < columns; at = stop) {
    vec sum[2 * INT8_PAIRS];
    for (int t = 0; t < 2 * pairs; t++) sum[t] = splat(0);
    stop = columns - at < segment ? columns : at + segment;
    for (int64_t begin = at; begin < stop; begin += f.values, unit += unit_bytes(f, f.values)) {
      const uint8_t *codes = unit + line_bytes(f);
      for (int64_t c = begin; c < begin + f.values; c += 32, codes += code_bytes(f)) {
        prefetch_codes(w, codes, unit_bytes(f, f.values) / (f.values / 32));
        for (int g = 0; g < 32 / f.group; g++) {
          squares group[INT8_PAIRS];
          for (int p = 0; p < pairs; p++) group[p] = no_squares();
          for (int q = g * (f.group / 4); q < (g + 1) * (f.group / 4); q += 2) {
            octets o = side_by_side(load_quad(f, codes, 0, q), load_quad(f, codes, 0, q + 1));
            for (int p = 0; p < pairs; p++) {
              bytes v = load_two(x.codes[2 * p] + c + 4 * q, x.codes[2 * p + 1] + c + 4 * q);
              group[p] = f.is_signed ? signed_multiply_octets(group[p], o, v) : multiply_octets(group[p], o, v);
            }
          }
          vec scale, minimum;
          load_scales(f, unit, 0, (c - begin) / f.group + g, &scale, &minimum);
          if (!f.is_signed && f.zero) minimum = multiply(scale, splat(-f.zero));
          for (int t = 0; t < 2 * pairs; t++) {
            vec products = floats_of(of_token(group[t / 2], t % 2));
            sum[t] = fused_multiply_add(products, multiply(scale, splat(x.scales[t][c / 32])), sum[t]);
            if (!f.is_signed) sum[t] = fused_multiply_add(minimum, splat(x.sums[t][c / 32]), sum[t]);
          }
        }
      }
    }
    for (int t = 0; t < 2 * pairs; t++) totals[t] = at ? add_vec(totals[t], sum[t]) : sum[t];
  }
}

BODY void gemm_int8_pairs(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const moe_int8_rows *x, const int32_t *rows,
                          int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  if (m == 1 || w->layout != MOE_PANELS) {
    gemm_int8(f, w, row_begin, row_end, x, rows, m, segment, y, y_stride, scratch);
    return;
  }
  for (int64_t r = row_begin; r < row_end; r += CODE_ROWS) {
    int64_t count = row_end - r < CODE_ROWS ? row_end - r : CODE_ROWS;
    const uint8_t *unit = (const uint8_t *)w->data + r / CODE_ROWS * unit_bytes(f, w->columns);
    for (int64_t i = 0; i < m; i += 2 * INT8_PAIRS) {
      int64_t tokens = m - i < 2 * INT8_PAIRS ? m - i : 2 * INT8_PAIRS;
      int8_tile tile;
      vec totals[2 * INT8_PAIRS];
      // A token without a partner is its own.
      for (int64_t t = 0; t < 2 * INT8_PAIRS; t++) {
        int64_t token = i + (t < tokens ? t : tokens - 1), at = (rows ? (int64_t)rows[token] : token) * x->stride;
        tile.codes[t] = x->codes + at, tile.scales[t] = x->scales + at / 32, tile.sums[t] = x->sums + at / 32;
      }
#define CASE(n) \
  case n: if (n <= INT8_PAIRS) multiply_pairs(f, unit, w->columns, segment, tile, n, totals); break;
      switch ((tokens + 1) / 2) { CASE(1) CASE(2) CASE(3) CASE(4) }
#undef CASE
      for (int64_t t = 0; t < tokens; t++) memcpy(y + (i + t) * y_stride + r - row_begin, &totals[t], (size_t)count * sizeof(float));
    }
  }
}
