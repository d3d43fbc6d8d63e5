// The heart of products on int8 activations: one group of columns, whose weights share a scale, for one tile of tokens.
#pragma once

#ifndef INT8_VECS
#define INT8_VECS 1
#endif
enum {
  INT8_RUN = 256, INT8_AHEAD = 4096, INT8_PACKED = 2 * CODE_ROWS * INT8_RUN,
  INT8_PANELS = VEC_ROWS / CODE_ROWS, INT8_ROWS = INT8_VECS * VEC_ROWS
};

/// The scratch of a call: sums of the segment at hand and of those before, [tile][vector][token]; an unpacked run: codes [quad][vector], scales
/// and minima [group][vector]; a packed run.
typedef struct int8_scratch {
  float sums[MOE_GEMM_ROWS * INT8_ROWS], totals[MOE_GEMM_ROWS * INT8_ROWS];
  float scales[INT8_RUN / 16 * INT8_ROWS], minima[INT8_RUN / 16 * INT8_ROWS];
  uint8_t codes[INT8_ROWS * INT8_RUN];
  uint8_t packed[INT8_VECS * INT8_PANELS * INT8_PACKED], flat[CODE_ROWS * INT8_RUN];
} int8_scratch;
_Static_assert(sizeof(int8_scratch) <= 4 * GEMM_SCRATCH, "the scratch of gemm_int8");

/// Quads whose products a `words` sums exactly.
#ifdef WORDS_ARE_INTS
#define RUN_OF(group, run) ((group) / 4)
#else
#define RUN_OF(group, run) (run)
#endif

/// A run of columns in panels.
typedef struct int8_columns {
  const uint8_t *unit;
  /// Bytes from a vector's first panel to its second.
  int64_t panel;
} int8_columns;

BODY ints load_offset(const uint8_t *p) {
  int32_t offset;
  memcpy(&offset, p, 4);
  return splat_int(offset);
}
BODY vec load_factor(const uint8_t *p) {
  float x;
  memcpy(&x, p, 4);
  return splat(x);
}

/// Where the weights of one group of columns lie: in panels, or unpacked.
typedef struct int8_group {
  bool is_unpacked;
  const uint8_t *codes;
  int64_t panel;
  int first_quad;
  vec scales[INT8_VECS], minima[INT8_VECS];
} int8_group;

/// sum[v][t] += what one group of columns gives; `x` is at the tile's 32 columns, `g` the group among them.
///
/// The integer sums are exact; one fused multiply-add follows for the scale and one for the minimum.
BODY void multiply_group(code_format f, int8_group w, int vecs, const uint8_t *x, int g, int tokens, vec sum[INT8_VECS][INT8_TOKENS]) {
  int run = RUN_OF(f.group, f.run);
  const uint8_t *scales = x + 32 * tokens, *offsets = x + (36 + 4 * g) * tokens;
  bool has_offset = f.zero && !has_minimum(f);
  ints group[INT8_VECS][INT8_TOKENS];
  words products[INT8_VECS][INT8_TOKENS];
  UNROLLED for (int q = 0; q < f.group / 4; q++) {
    bytes codes[INT8_VECS];
    UNROLLED for (int v = 0; v < vecs; v++)
      codes[v] = w.is_unpacked ? load_all(w.codes + ((w.first_quad + q) * INT8_VECS + v) * 4 * VEC_ROWS)
                               : load_factors(f, w.codes, w.panel, w.first_quad + q);
    UNROLLED for (int t = 0; t < tokens; t++) {
      bytes activations = splat_quad(x + ((w.first_quad + q) * tokens + t) * 4);
      UNROLLED for (int v = 0; v < vecs; v++) {
#ifdef WORDS_ARE_INTS
        words before = q ? products[v][t] : has_offset ? load_offset(offsets + 4 * t) : splat_int(0);
#else
        words before = q % run ? products[v][t] : no_words();
#endif
        products[v][t] = dot_factors(f, before, codes[v], activations);
        if ((q + 1) % run == 0) group[v][t] = q >= run ? add_ints(group[v][t], sum_words(products[v][t])) : sum_words(products[v][t]);
      }
    }
  }
  UNROLLED for (int t = 0; t < tokens; t++) {
    vec scale = load_factor(scales + 4 * t);
    UNROLLED for (int v = 0; v < vecs; v++) {
#ifndef WORDS_ARE_INTS
      if (has_offset) group[v][t] = add_ints(group[v][t], load_offset(offsets + 4 * t));
#endif
      sum[v][t] = fused_multiply_add(floats_of(group[v][t]), multiply(w.scales[v], scale), sum[v][t]);
      if (has_minimum(f)) sum[v][t] = fused_multiply_add(w.minima[v], load_factor(offsets + 4 * t), sum[v][t]);
    }
  }
}
