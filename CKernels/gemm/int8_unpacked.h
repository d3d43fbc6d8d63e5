// Products on int8 activations from an unpacked run of columns, which several tiles of tokens share.
//
// Unpacked, formats differ in few things: columns a scale, what 16 bits hold, whether codes are signed, zero or minimum.
#pragma once

/// Unpacks `columns` columns of vector `v`: codes [quad][vector], scales and minima [group][vector].
BODY void unpack_run(code_format f, int8_columns w, int64_t columns, int v, int8_scratch *s) {
  uint8_t *out = s->codes + v * 4 * VEC_ROWS;
  int64_t at = v * VEC_ROWS;
  for (int64_t begin = 0; begin < columns; begin += f.values, w.unit += unit_bytes(f, f.values)) {
    const uint8_t *codes = w.unit + line_bytes(f);
    for (int64_t c = 0; c < f.values; c += 32, codes += code_bytes(f), out += 8 * 4 * INT8_ROWS) {
      // All loads before the stores: quads that share bytes then load them once.
      bytes quads[8];
      UNROLLED for (int q = 0; q < 8; q++) quads[q] = load_factors(f, codes, w.panel, q);
      UNROLLED for (int q = 0; q < 8; q++) store_bytes(out + q * 4 * INT8_ROWS, quads[q]);
      for (int g = 0; g < 32 / f.group; g++, at += INT8_ROWS) {
        vec scale, minimum;
        load_scales(f, w.unit, w.panel, c / f.group + g, &scale, &minimum);
        store_vec(s->scales + at, scale);
        if (has_minimum(f)) store_vec(s->minima + at, minimum);
      }
    }
  }
}

/// An unpacked run of `columns` columns for one tile: sums[(v * tokens + t) * VEC_ROWS + r] goes on.
BODY void multiply_unpacked(code_format f, const int8_scratch *s, int64_t columns, const uint8_t *x, int tokens, float *sums) {
  vec sum[INT8_VECS][INT8_TOKENS];
  for (int v = 0; v < INT8_VECS; v++)
    for (int t = 0; t < tokens; t++) sum[v][t] = load_vec(sums + (v * tokens + t) * VEC_ROWS);
  const float *scales = s->scales, *minima = s->minima;
  const uint8_t *codes = s->codes;
  for (int64_t c = 0; c < columns; c += 32, codes += 8 * 4 * INT8_ROWS, x += tokens * int8_group_bytes(f))
    UNROLLED for (int g = 0; g < 32 / f.group; g++, scales += INT8_ROWS, minima += INT8_ROWS) {
      int8_group group = {.is_unpacked = true, .codes = codes, .first_quad = g * (f.group / 4)};
      for (int v = 0; v < INT8_VECS; v++) {
        group.scales[v] = load_vec(scales + v * VEC_ROWS);
        if (has_minimum(f)) group.minima[v] = load_vec(minima + v * VEC_ROWS);
      }
      multiply_group(f, group, INT8_VECS, x, g, tokens, sum);
    }
  for (int v = 0; v < INT8_VECS; v++)
    for (int t = 0; t < tokens; t++) store_vec(sums + (v * tokens + t) * VEC_ROWS, sum[v][t]);
}

#define KIND(name) JOIN(multiply_unpacked_##name, ISA)
/// One body for all formats of a kind (columns a scale, quads in one go), with the number of tokens known to each of its cases.
#define UNPACKED_KIND(name, ...)                                                                                             \
  __attribute__((noinline, unused)) static void KIND(name)(const int8_scratch *s, int64_t columns, const uint8_t *x,       \
                                                           int64_t tokens, float *sums) {                                  \
    const code_format f = {__VA_ARGS__};                                                                                     \
    switch (tokens) { FOR_TOKENS(UNPACKED_CASE) }                                                                            \
  }
#define UNPACKED_CASE(n) \
  case n: if (n <= INT8_TOKENS) multiply_unpacked(f, s, columns, x, n, sums); break;
UNPACKED_KIND(offset_32_8, .group = 32, .run = 8, .lines = LINES_HALF, .zero = 1)
UNPACKED_KIND(offset_32_4, .group = 32, .run = 4, .lines = LINES_HALF, .zero = 1)
UNPACKED_KIND(offset_16_4, .group = 16, .run = 4, .lines = LINES_HALF, .zero = 1)
UNPACKED_KIND(offset_16_2, .group = 16, .run = 2, .lines = LINES_HALF, .zero = 1)
UNPACKED_KIND(minimum_32_8, .group = 32, .run = 8, .lines = LINES_HALF_MINIMUM)
UNPACKED_KIND(minimum_32_4, .group = 32, .run = 4, .lines = LINES_HALF_MINIMUM)
UNPACKED_KIND(minimum_16_4, .group = 16, .run = 4, .lines = LINES_HALF_MINIMUM)
UNPACKED_KIND(signed_32_2, .group = 32, .run = 2, .lines = LINES_HALF, .is_signed = true)
UNPACKED_KIND(signed_32_1, .group = 32, .run = 1, .lines = LINES_HALF, .is_signed = true)
UNPACKED_KIND(signed_16_2, .group = 16, .run = 2, .lines = LINES_HALF, .is_signed = true)

typedef void (*unpacked_product)(const int8_scratch *s, int64_t columns, const uint8_t *x, int64_t tokens, float *sums);

/// The body of the format's kind.
BODY unpacked_product unpacked_product_of(code_format f) {
  bool is_narrow = f.group == 16, is_whole = RUN_OF(f.group, f.run) == f.group / 4;
  if (multiplies_signed(f)) return is_narrow ? KIND(signed_16_2) : RUN_OF(f.group, f.run) > 1 ? KIND(signed_32_2) : KIND(signed_32_1);
  if (has_minimum(f)) return is_narrow ? KIND(minimum_16_4) : is_whole ? KIND(minimum_32_8) : KIND(minimum_32_4);
  if (is_narrow) return is_whole ? KIND(offset_16_4) : KIND(offset_16_2);
  return is_whole ? KIND(offset_32_8) : KIND(offset_32_4);
}
