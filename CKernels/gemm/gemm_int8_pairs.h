// Grouped GEMM on int8 activations where one instruction multiplies pairs of rows with pairs of tokens, eight columns deep.
//
// The ISA file that defines MULTIPLIES_PAIRS adds to the vocabulary:
//   octets   eight neighbouring codes a row, of two quads: side_by_side
//   squares  a sum of 32 bits for each row and each of two tokens: no_squares, multiply_octets, signed_multiply_octets, of_token
//   load_two eight activations of each of two tokens: two quads of each, some bytes apart
// Sums of codes are exact integers and what follows is gemm_int8.h's in the same order, hence the same bits. One token alone and published
// rows are left to it.
#pragma once

enum { INT8_PAIRS = INT8_TOKENS / 2 };

/// All columns of one panel for `tokens` tokens: totals[t] in the lanes of the rows. A token without a partner is its own.
BODY void multiply_pairs(code_format f, const uint8_t *unit, int64_t columns, int64_t segment, const uint8_t *x, int tokens,
                         vec totals[INT8_TOKENS]) {
  const uint8_t *end = unit + unit_bytes(f, columns);
  int pairs = (tokens + 1) / 2;
  for (int64_t at = 0, stop; at < columns; at = stop) {
    vec sum[INT8_TOKENS];
    for (int t = 0; t < tokens; t++) sum[t] = splat(0);
    stop = columns - at < segment ? columns : at + segment;
    for (int64_t begin = at; begin < stop; begin += f.values, unit += unit_bytes(f, f.values)) {
      const uint8_t *codes = unit + line_bytes(f);
      for (int64_t c = 0; c < f.values; c += 32, codes += code_bytes(f), x += tokens * int8_group_bytes(f)) {
        prefetch_codes(0, end, codes, INT8_AHEAD, unit_bytes(f, f.values) / (f.values / 32));
        for (int g = 0; g < 32 / f.group; g++) {
          const uint8_t *scales = x + 32 * tokens, *offsets = x + (36 + 4 * g) * tokens;
          squares group[INT8_PAIRS];
          for (int p = 0; p < pairs; p++) group[p] = no_squares();
          for (int q = g * (f.group / 4); q < (g + 1) * (f.group / 4); q += 2) {
            octets o = side_by_side(load_factors(f, codes, 0, q), load_factors(f, codes, 0, q + 1));
            for (int p = 0; p < pairs; p++) {
              int second = 2 * p + 1 < tokens ? 2 * p + 1 : 2 * p;
              bytes v = load_two(x + (q * tokens + 2 * p) * 4, x + (q * tokens + second) * 4, 4 * tokens);
              group[p] = f.is_signed ? signed_multiply_octets(group[p], o, v) : multiply_octets(group[p], o, v);
            }
          }
          vec scale, minimum;
          load_scales(f, unit, 0, c / f.group + g, &scale, &minimum);
          for (int t = 0; t < tokens; t++) {
            ints products = of_token(group[t / 2], t % 2);
            if (f.zero && !has_minimum(f)) products = add_ints(products, load_offset(offsets + 4 * t));
            sum[t] = fused_multiply_add(floats_of(products), multiply(scale, load_factor(scales + 4 * t)), sum[t]);
            if (has_minimum(f)) sum[t] = fused_multiply_add(minimum, load_factor(offsets + 4 * t), sum[t]);
          }
        }
      }
    }
    for (int t = 0; t < tokens; t++) totals[t] = at ? add_vec(totals[t], sum[t]) : sum[t];
  }
}

BODY void gemm_int8_pairs(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const uint8_t *x, int64_t m, int64_t segment,
                          float *y, int64_t y_stride, float *scratch) {
  if (m == 1 || w->layout != MOE_PANELS) {
    gemm_int8(f, w, row_begin, row_end, x, m, segment, y, y_stride, scratch);
    return;
  }
  for (int64_t r = row_begin; r < row_end; r += CODE_ROWS) {
    int64_t count = row_end - r < CODE_ROWS ? row_end - r : CODE_ROWS;
    const uint8_t *unit = (const uint8_t *)w->data + r / CODE_ROWS * unit_bytes(f, w->columns);
    for (int64_t i = 0, tokens; i < m; i += tokens) {
      tokens = next_tile(m - i, INT8_TOKENS);
      const uint8_t *tile = x + i * (w->columns / 32) * int8_group_bytes(f);
      vec totals[INT8_TOKENS];
#define CASE(n) \
  case n: if (n <= INT8_TOKENS) multiply_pairs(f, unit, w->columns, segment, tile, n, totals); break;
      switch (tokens) { FOR_TOKENS(CASE) }
#undef CASE
      for (int64_t t = 0; t < tokens; t++) memcpy(y + (i + t) * y_stride + r - row_begin, &totals[t], (size_t)count * sizeof(float));
    }
  }
}
