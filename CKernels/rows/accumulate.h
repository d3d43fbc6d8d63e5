// The weighted combine of one expert row into its token's output row.
#pragma once

static void accumulate(float weight, const float *x, int64_t n, float *y) {
  for (int64_t j = 0; j < n; j++) y[j] += weight * x[j];
}
