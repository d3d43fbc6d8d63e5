// Grouped GEMM of bf16 weights on bf16 activations: pairs of columns of a panel's rows, lane = row, meet every token.
//
// The ISA file that defines MULTIPLIES_BF16 adds to the vocabulary load_pairs: two neighbouring columns of a panel, the elements of each row next to
// each other; and dot_pairs, which adds the products of two columns to a vec. Where it MULTIPLIES_PAIRS, instead of dot_pairs,
//   float_squares   a sum for each row and each of two tokens: no_float_squares, multiply_bf16_octets, floats_of_token
// Panels are paired in registers; published rows, a run of 256 columns at a time, in scratch. A block of rows is BF16_VECS vectors.
#pragma once

enum {
  BF16_VECS = 2, BF16_PANELS = BF16_VECS / PANEL_VECS, BF16_ROWS = BF16_PANELS * PANEL, RUN_PAIRS = RUN / 2,
  COLUMN_BYTES = 2 * PANEL, PAIRED_HALF = 4 * CODE_ROWS * RUN_PAIRS
};

/// The scratch of a call: sums of the segment at hand and of those before, [token][row]; a run of 16 published rows, and its pairs, eight rows after
/// eight rows, of every panel.
typedef struct bf16_scratch {
  float sums[MOE_GEMM_ROWS * BF16_ROWS], totals[MOE_GEMM_ROWS * BF16_ROWS];
  uint8_t pairs[BF16_PANELS * 2 * PAIRED_HALF], flat[PANEL][2 * RUN];
} bf16_scratch;
_Static_assert(sizeof(bf16_scratch) <= 4 * GEMM_SCRATCH, "the scratch of gemm_bf16");

/// Columns [column, column + count) of 16 published rows, missing ones zero, as pairs.
BODY void pair_rows(const moe_matrix *w, int64_t first, int64_t rows, int64_t column, int64_t count, bf16_scratch *s, uint8_t *pairs) {
  for (int64_t r = 0; r < PANEL; r++) {
    size_t bytes = r < rows ? 2 * (size_t)count : 0;
    if (bytes) memcpy(s->flat[r], (const uint8_t *)w->data + (first + r) * w->row_bytes + 2 * column, bytes);
    memset(s->flat[r] + bytes, 0, sizeof s->flat[r] - bytes);
  }
  for (int64_t half = 0; half < 2; half++)
    for (int64_t c = 0; c < count; c += 16) transpose_quads(s->flat[half * CODE_ROWS] + 2 * c, 2 * RUN, pairs + half * PAIRED_HALF + c * 16);
}

/// A run of columns: of panels as they lie, or paired.
typedef struct bf16_run {
  const uint8_t *data;
  /// Bytes to the next panel.
  int64_t panel;
  bool is_paired;
} bf16_run;

BODY bytes load_weights(bf16_run w, const uint8_t *p, int v) {
  p += (v / PANEL_VECS) * w.panel;
  return w.is_paired ? load_bytes(p + (v % PANEL_VECS) * PAIRED_HALF, PAIRED_HALF) : load_pairs(p + (v % PANEL_VECS) * 2 * VEC_ROWS);
}
BODY int64_t bytes_of_pair(bf16_run w) { return w.is_paired ? 4 * CODE_ROWS : 2 * COLUMN_BYTES; }

#ifdef MULTIPLIES_PAIRS
enum { DOT_COLUMNS = 4, DOT_TOKENS = 2 };
typedef octets dot_weights;
typedef float_squares dot_sums;
BODY dot_sums no_sums(void) { return no_float_squares(); }
BODY dot_weights load_dot_weights(bf16_run w, int v) {
  return side_by_side(load_weights(w, w.data, v), load_weights(w, w.data + bytes_of_pair(w), v));
}
/// A token without a partner is its own.
BODY dot_sums add_products(dot_sums sum, dot_weights w, const uint8_t *x, int t, int tokens) {
  return multiply_bf16_octets(sum, w, load_two(x + 4 * t, x + 4 * (t + 1 < tokens ? t + 1 : t), 4 * tokens));
}
BODY vec sum_of_token(dot_sums sum, int t) { return floats_of_token(sum, t % 2); }
#else
enum { DOT_COLUMNS = 2, DOT_TOKENS = 1 };
typedef bytes dot_weights;
typedef vec dot_sums;
BODY dot_sums no_sums(void) { return splat(0); }
BODY dot_weights load_dot_weights(bf16_run w, int v) { return load_weights(w, w.data, v); }
BODY dot_sums add_products(dot_sums sum, dot_weights w, const uint8_t *x, int t, int tokens) { return dot_pairs(sum, w, splat_quad(x + 4 * t)); }
BODY vec sum_of_token(dot_sums sum, int t) { return sum; }
#endif

/// sum[t][v] += the products of DOT_COLUMNS columns.
BODY void multiply_columns(bf16_run w, int vecs, const uint8_t *x, int tokens, dot_sums sum[BF16_TOKENS][BF16_VECS]) {
  dot_weights weights[BF16_VECS];
  UNROLLED for (int v = 0; v < vecs; v++) weights[v] = load_dot_weights(w, v);
  UNROLLED for (int t = 0; t < tokens; t += DOT_TOKENS)
    UNROLLED for (int v = 0; v < vecs; v++) sum[t][v] = add_products(sum[t][v], weights[v], x, t, tokens);
}

/// One run of columns for one tile of tokens: sums[(t * vecs + v) * VEC_ROWS + r] becomes the run's sum, or goes on with it.
BODY void multiply_bf16(bf16_run w, int vecs, int64_t columns, const uint8_t *x, int tokens, float *sums, bool is_first, float_ahead ahead) {
  dot_sums sum[BF16_TOKENS][BF16_VECS];
  UNROLLED for (int t = 0; t < tokens; t += DOT_TOKENS)
    UNROLLED for (int v = 0; v < vecs; v++) sum[t][v] = no_sums();
  int64_t whole = columns / DOT_COLUMNS * DOT_COLUMNS, size = bytes_of_pair(w) * (DOT_COLUMNS / 2);
  for (int64_t begin = 0; begin < whole; begin += FLOAT_STEP) {
    int64_t end = whole - begin < FLOAT_STEP ? whole : begin + FLOAT_STEP;
    for (int64_t i = 0; i < ahead.lines; i++, ahead.at += 64)
      for (int p = 0; p < vecs / PANEL_VECS; p++) __builtin_prefetch(ahead.at + p * ahead.panel);
    for (int64_t c = begin; c < end; c += DOT_COLUMNS, w.data += size, x += 2 * DOT_COLUMNS * tokens) multiply_columns(w, vecs, x, tokens, sum);
  }
  if (whole < columns) {
    uint8_t last[BF16_PANELS][DOT_COLUMNS * COLUMN_BYTES] = {{0}};
    if (!w.is_paired) {
      for (int p = 0; p < vecs / PANEL_VECS; p++) memcpy(last[p], w.data + p * w.panel, (size_t)(columns - whole) * COLUMN_BYTES);
      w = (bf16_run){last[0], sizeof last[0], false};
    }
    multiply_columns(w, vecs, x, tokens, sum);
  }
  UNROLLED for (int t = 0; t < tokens; t++)
    UNROLLED for (int v = 0; v < vecs; v++) {
      float *out = sums + (t * vecs + v) * VEC_ROWS;
      vec total = sum_of_token(sum[t / DOT_TOKENS * DOT_TOKENS][v], t);
      store_vec(out, is_first ? total : add_vec(load_vec(out), total));
    }
}

BODY void gemm_bf16(const moe_matrix *w, int64_t row_begin, int64_t row_end, const uint8_t *x, int64_t m, int64_t segment, float *y,
                    int64_t y_stride, float *scratch) {
  bf16_scratch *s = (bf16_scratch *)scratch;
  bool lies_in_panels = w->layout == MOE_PANELS;
  int64_t k = w->columns, panel = k * COLUMN_BYTES;
  for (int64_t r = row_begin; r < row_end; r += BF16_ROWS) {
    int panels = row_end - r > PANEL ? BF16_PANELS : 1;
    int64_t lanes = panels * PANEL;
    for (int64_t begin = 0, end; begin < k; begin = end) {
      end = k - begin < segment ? k : begin + segment;
      for (int64_t c = begin, columns; c < end; c += columns) {
        columns = end - c < RUN ? end - c : RUN;
        const uint8_t *elements = (const uint8_t *)w->data + r * k * 2 + c * COLUMN_BYTES;
        bf16_run run = lies_in_panels ? (bf16_run){elements, panel, false} : (bf16_run){s->pairs, 2 * PAIRED_HALF, true};
        for (int64_t p = 0, at = r; !lies_in_panels && p < panels; p++, at += PANEL)
          pair_rows(w, at, row_end - at, c, columns, s, s->pairs + p * 2 * PAIRED_HALF);
        float_reading reading = reading_of(elements, c, columns, k, COLUMN_BYTES, panels);
        if (!lies_in_panels) reading.lines = 0;
        for (int64_t i = 0, tokens; i < m; i += tokens) {
          tokens = next_tile(m - i, BF16_TOKENS);
          float_ahead ahead = share_of(&reading, tokens, m);
          const uint8_t *tile = x + i * bf16_row_bytes(k) + 2 * c * tokens;
          float *sums = s->sums + i * lanes;
#define BF16_CASE(n)                                                                                                                  \
  case n:                                                                                                                             \
    if (n <= BF16_TOKENS && panels == 1) multiply_bf16(run, PANEL_VECS, columns, tile, n, sums, c == begin, ahead);                    \
    if (n <= BF16_TOKENS && panels > 1 && BF16_PANELS > 1) multiply_bf16(run, BF16_VECS, columns, tile, n, sums, c == begin, ahead);   \
    break;
          switch (tokens) { FOR_TOKENS(BF16_CASE) }
#undef BF16_CASE
        }
      }
      for (int64_t j = 0; j < m * lanes; j += VEC_ROWS) {
        vec sum = load_vec(s->sums + j);
        store_vec(s->totals + j, begin ? add_vec(load_vec(s->totals + j), sum) : sum);
      }
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t v = 0; v < lanes / VEC_ROWS; v++)
        store_rows(y + i * y_stride + r - row_begin + v * VEC_ROWS, s->totals + i * lanes + v * VEC_ROWS, row_end - r - v * VEC_ROWS);
  }
}
