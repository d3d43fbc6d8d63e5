// Grouped GEMM on f32 activations: a few weight rows are widened once, then meet every token.
//
// y[m, n] = x[m, k] w[n, k]^T; x rows may be gathered. Lane j of 16 sums the columns congruent to j of a segment.
#pragma once

BODY lanes load_first(const float *p, int64_t count) {
  float padded[16] = {0};
  for (int64_t j = 0; j < count; j++) padded[j] = p[j];
  return load_lanes(padded);
}

/// The lanes in pairs at distance 8, 4, 2, 1.
BODY float sum_lanes(lanes v) {
  float sums[16];
  store_lanes(sums, v);
  for (int width = 8; width; width /= 2)
    for (int j = 0; j < width; j++) sums[j] += sums[j + width];
  return sums[0];
}

typedef void (*decoder)(const void *, int64_t, float, float, float *);

/// `decode_columns` with the format's decoder known at compile time, zero up to the next multiple of 16.
BODY void decode_row(const moe_matrix *w, decoder decode, const moe_format *format, int64_t row, int64_t padded, float *out) {
  if (w->scale_type == MOE_SCALE_NONE)
    decode((const uint8_t *)w->data + row * w->row_bytes, w->columns, w->global_scale, 0, out);
  else
    decode_columns(w, format, row, 0, w->columns, out);
  for (int64_t c = w->columns; c < padded; c++) out[c] = 0;
}

BODY void gemm_float(const moe_matrix *w, decoder decode, const moe_format *format, int64_t row_begin, int64_t row_end, const float *x,
                     int64_t x_stride, const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {
  int64_t k = w->columns, padded = (k + 15) / 16 * 16;
  for (int64_t r = row_begin; r < row_end; r += GEMM_ROWS) {
    int64_t count = row_end - r < GEMM_ROWS ? row_end - r : GEMM_ROWS;
    for (int64_t q = 0; q < count; q++) decode_row(w, decode, format, r + q, padded, scratch + q * padded);
    for (int64_t i = 0; i < m; i++) {
      const float *xi = x + (rows ? (int64_t)rows[i] : i) * x_stride;
      float total[GEMM_ROWS] = {0};
      for (int64_t begin = 0; begin < k; begin += segment) {
        int64_t end = k - begin < segment ? k : begin + segment, c = begin;
        lanes sums[GEMM_ROWS] = {0};
        for (; c + 16 <= end; c += 16) {
          lanes v = load_lanes(xi + c);
          for (int q = 0; q < GEMM_ROWS; q++) sums[q] = multiply_add(sums[q], load_lanes(scratch + q * padded + c), v);
        }
        if (c < end) {
          lanes v = load_first(xi + c, end - c);
          for (int q = 0; q < GEMM_ROWS; q++) sums[q] = multiply_add(sums[q], load_lanes(scratch + q * padded + c), v);
        }
        for (int q = 0; q < GEMM_ROWS; q++) total[q] = begin ? total[q] + sum_lanes(sums[q]) : sum_lanes(sums[q]);
      }
      for (int64_t q = 0; q < count; q++) y[i * y_stride + r - row_begin + q] = total[q];
    }
  }
}
