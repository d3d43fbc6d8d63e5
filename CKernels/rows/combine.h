// Weighted sums of expert rows: all rows of one token at once, or the rows of one expert each to its token.
#pragma once

/// Vectors of sums that stay in registers, and how far ahead of them a row is asked for, in bytes.
enum { COMBINED = 8, COMBINED_COLUMNS = COMBINED * VEC_ROWS, COMBINE_AHEAD = 1024 };

static void combine(const float *x, int64_t x_stride, const int64_t *rows, const float *weights, float scale, int64_t k, const float *start,
                    int64_t n, float *y) {
  int64_t j = 0;
  for (; j + COMBINED_COLUMNS <= n; j += COMBINED_COLUMNS) {
    vec sum[COMBINED];
    for (int v = 0; v < COMBINED; v++) sum[v] = start ? load_vec(start + j + v * VEC_ROWS) : splat(0);
    for (int64_t i = 0; i < k; i++) {
      int64_t row = rows ? rows[i] : i;
      const float *values = x + row * x_stride + j;
      vec weight = splat(weights ? weights[row] * scale : scale);
      for (int b = 0; b < (int)sizeof sum; b += 64) __builtin_prefetch((const char *)values + COMBINE_AHEAD + b);
      for (int v = 0; v < COMBINED; v++) sum[v] = multiply_add(load_vec(values + v * VEC_ROWS), weight, sum[v]);
    }
    for (int v = 0; v < COMBINED; v++) store_vec(y + j + v * VEC_ROWS, sum[v]);
  }
  for (; j < n; j++) {
    float sum = start ? start[j] : 0;
    for (int64_t i = 0; i < k; i++) {
      int64_t row = rows ? rows[i] : i;
      float weight = weights ? weights[row] * scale : scale;
      sum += weight * x[row * x_stride + j];
    }
    y[j] = sum;
  }
}

static void add_rows(const float *x, int64_t x_stride, int64_t m, int64_t n, const float *weights, float scale, const int32_t *rows, float *y,
                     int64_t y_stride) {
  for (int64_t i = 0; i < m; i++) {
    const float *values = x + i * x_stride;
    float *sums = y + rows[i] * y_stride, weight = weights ? weights[i] * scale : scale;
    int64_t j = 0;
    for (; j + VEC_ROWS <= n; j += VEC_ROWS) store_vec(sums + j, multiply_add(load_vec(values + j), splat(weight), load_vec(sums + j)));
    for (; j < n; j++) sums[j] += weight * values[j];
  }
}
