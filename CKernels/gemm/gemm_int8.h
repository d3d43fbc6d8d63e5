// Grouped GEMM on int8 activations: codes of eight weight rows side by side, lane = row, products summed as integers.
//
// A weight is scale * code (+ minimum) in groups of 16 or 32 columns. Codes are unpacked once for all tokens into quads: 32 bytes hold
// four neighbouring columns of eight rows, so that one multiplication by four broadcast activations serves eight rows.
#pragma once

/// Unpacks one block: its codes in order, the scale of each group, the minimum of each group where codes are unsigned.
typedef void (*code_reader)(const uint8_t *block, uint8_t *codes, float *scales, float *minima);

typedef struct int8_format {
  code_reader codes;
  int values, bytes;
  /// Columns that share a scale: 16 or 32.
  int group;
  /// Quads whose products fit 16 bits when summed.
  int run;
  /// True for signed codes without a minimum.
  bool is_signed;
} int8_format;

enum { INT8_ROWS = CODE_ROWS, INT8_RUN = 256, INT8_TOKENS = 4, INT8_GROUPS = INT8_RUN / 16 };

typedef struct int8_panel {
  uint8_t quads[INT8_ROWS * INT8_RUN];
  float scales[INT8_GROUPS * INT8_ROWS];
  float minima[INT8_GROUPS * INT8_ROWS];
} int8_panel;

/// Columns [column, column + count) of eight rows (missing ones zero).
BODY void unpack_panel(int8_format f, const moe_matrix *w, int64_t first, int64_t rows, int64_t column, int64_t count, uint8_t *flat, int8_panel *panel) {
  int64_t bytes = count / f.values * f.bytes, ahead = next_run(w, INT8_ROWS, column, count, bytes);
  for (int64_t r = 0; r < INT8_ROWS; r++) {
    float *scales = panel->scales + r, *minima = panel->minima + r;
    if (r < rows) {
      const uint8_t *block = (const uint8_t *)w->data + (first + r) * w->row_bytes + column / f.values * f.bytes;
      prefetch_run(block + ahead, bytes);
      for (int64_t c = 0; c < count; c += f.values, block += f.bytes)
        f.codes(block, flat + r * INT8_RUN + c, scales + c / f.group * INT8_ROWS, minima + c / f.group * INT8_ROWS);
    } else {
      memset(flat + r * INT8_RUN, 0, (size_t)count);
      for (int64_t g = 0; g < count / f.group; g++) scales[g * INT8_ROWS] = minima[g * INT8_ROWS] = 0;
    }
  }
  for (int64_t c = 0; c < count; c += 32) transpose_quads(flat + c, INT8_RUN, panel->quads + c * INT8_ROWS);
}

/// One run of columns for `tokens` tokens: sums[t * 8 + r] += the weights' products with the activations.
BODY void multiply_codes(int8_format f, const int8_panel *panel, int64_t count, const int8_t *const *x, const float *const *scales,
                         const float *const *sums_of_x, int tokens, float *sums) {
  vec total[INT8_TOKENS];
  for (int t = 0; t < tokens; t++) total[t] = load_vec(sums + t * INT8_ROWS);
  for (int64_t g = 0; g < count / f.group; g++) {
    ints group[INT8_TOKENS];
    for (int part = 0; part < f.group / 4; part += f.run) {
      words run[INT8_TOKENS];
      for (int q = 0; q < f.run; q++) {
        int64_t quad = g * (f.group / 4) + part + q;
        bytes codes = load_bytes(panel->quads + quad * 32);
        for (int t = 0; t < tokens; t++) {
          bytes v = splat_quad(x[t] + quad * 4);
          words product = f.is_signed ? signed_pair_products(codes, v) : pair_products(codes, v);
          run[t] = q ? add_words(run[t], product) : product;
        }
      }
      for (int t = 0; t < tokens; t++) {
        ints widened = sum_pairs(run[t]);
        group[t] = part ? add_ints(group[t], widened) : widened;
      }
    }
    vec scale = load_vec(panel->scales + g * INT8_ROWS);
    for (int t = 0; t < tokens; t++) {
      int64_t block = g * f.group / 32;
      total[t] = fused_multiply_add(floats_of(group[t]), multiply(scale, splat(scales[t][block])), total[t]);
      if (!f.is_signed) total[t] = fused_multiply_add(load_vec(panel->minima + g * INT8_ROWS), splat(sums_of_x[t][block]), total[t]);
    }
  }
  for (int t = 0; t < tokens; t++) store_vec(sums + t * INT8_ROWS, total[t]);
}

BODY void gemm_int8(int8_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const moe_int8_rows *x, const int32_t *rows,
                    int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  float *sums = scratch, *totals = sums + INT8_ROWS * MOE_GEMM_ROWS;
  int8_panel *panel = (int8_panel *)(totals + INT8_ROWS * MOE_GEMM_ROWS);
  uint8_t *flat = (uint8_t *)(panel + 1);
  int64_t k = w->columns;
  for (int64_t r = row_begin; r < row_end; r += INT8_ROWS) {
    int64_t count = row_end - r < INT8_ROWS ? row_end - r : INT8_ROWS;
    memset(totals, 0, (size_t)(m * INT8_ROWS) * sizeof(float));
    for (int64_t begin = 0; begin < k; begin += segment) {
      int64_t end = k - begin < segment ? k : begin + segment;
      memset(sums, 0, (size_t)(m * INT8_ROWS) * sizeof(float));
      for (int64_t c = begin; c < end; c += INT8_RUN) {
        int64_t columns = end - c < INT8_RUN ? end - c : INT8_RUN;
        unpack_panel(f, w, r, count, c, columns, flat, panel);
        for (int64_t i = 0; i < m; i += INT8_TOKENS) {
          const int8_t *codes[INT8_TOKENS];
          const float *scales[INT8_TOKENS], *sums_of_x[INT8_TOKENS];
          int64_t tokens = m - i < INT8_TOKENS ? m - i : INT8_TOKENS;
          for (int64_t t = 0; t < tokens; t++) {
            int64_t at = (rows ? (int64_t)rows[i + t] : i + t) * x->stride + c;
            codes[t] = x->codes + at, scales[t] = x->scales + at / 32, sums_of_x[t] = x->sums + at / 32;
          }
          float *out = sums + i * INT8_ROWS;
          switch (tokens) {
            case 1: multiply_codes(f, panel, columns, codes, scales, sums_of_x, 1, out); break;
            case 2: multiply_codes(f, panel, columns, codes, scales, sums_of_x, 2, out); break;
            case 3: multiply_codes(f, panel, columns, codes, scales, sums_of_x, 3, out); break;
            default: multiply_codes(f, panel, columns, codes, scales, sums_of_x, 4, out);
          }
        }
      }
      for (int64_t j = 0; j < m * INT8_ROWS; j++) totals[j] = begin ? totals[j] + sums[j] : sums[j];
    }
    for (int64_t i = 0; i < m; i++)
      for (int64_t q = 0; q < count; q++) y[i * y_stride + r - row_begin + q] = totals[i * INT8_ROWS + q];
  }
}
