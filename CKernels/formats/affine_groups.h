// What q4_k and q5_k share: 8 groups of 32 codes with 6-bit scales and minima, and the search for these.
//
// The 12 bytes p of scales s and minima m: for g < 4, s[g] is the low six bits of p[g] and m[g] those of p[4 + g]; for the
// other groups, with h = g - 4, the low four bits of s[g] and m[g] are the low and high nibble of p[8 + h], and their high
// two are the top two bits of p[h] and p[4 + h].
#pragma once
#include "bits.h"

FORMAT int group_scale(const uint8_t *p, int g) { return g < 4 ? p[g] & 63 : (p[4 + g] & 15) | (p[g - 4] >> 6) << 4; }
FORMAT int group_minimum(const uint8_t *p, int g) { return g < 4 ? p[4 + g] & 63 : p[4 + g] >> 4 | (p[g] >> 6) << 4; }

FORMAT void put_group(uint8_t *p, int g, int s, int m) {
  if (g < 4) {
    p[g] = (uint8_t)(p[g] | s);
    p[4 + g] = (uint8_t)(p[4 + g] | m);
  } else {
    p[4 + g] = (uint8_t)((s & 15) | (m & 15) << 4);
    p[g - 4] = (uint8_t)(p[g - 4] | (s >> 4) << 6);
    p[g] = (uint8_t)(p[g] | (m >> 4) << 6);
  }
}

/// Codes of 32 values for value = scale * q - minimum; the squared error, summed in eight lanes.
FORMAT float affine_codes(const float *restrict x, float scale, float minimum, int top, uint8_t *restrict q) {
#pragma STDC FP_CONTRACT OFF
  float inverse = inverse_of(scale), squares[32], lanes[8] = {0};
  AS_VECTORS
  for (int i = 0; i < 32; i++) {
    float v = (x[i] + minimum) * inverse + 0.5f;
    v = v > 0 ? v : 0;
    int code = (int)(v < (float)top ? v : (float)top);
    float error = scale * (float)code - minimum - x[i];
    q[i] = (uint8_t)code;
    squares[i] = error * error;
  }
  for (int i = 0; i < 32; i += 8)
    for (int j = 0; j < 8; j++) lanes[j] += squares[i + j];
  return sum_of_lanes(lanes);
}

/// The scale and minimum of least squared error over several step widths, each improved by least squares at its codes.
FORMAT void fit_affine(const float *x, int top, float *scale, float *minimum) {
#pragma STDC FP_CONTRACT OFF
  float low = fminf(range_low(x, 32), 0), width = range_high(x, 32) - low, best = INFINITY;
  float lanes[8] = {0};
  for (int i = 0; i < 32; i++) lanes[i % 8] += x[i];
  float sum = sum_of_lanes(lanes);
  *scale = 0, *minimum = -low;
  for (int trial = 0; trial < 12 && width > 0; trial++) {
    float s = width / ((float)top + 0.25f * (float)(trial - 2)), m = -low;
    uint8_t q[32];
    for (int round = 0; round < 2; round++) {
      float error = affine_codes(x, s, m, top, q);
      if (error < best) best = error, *scale = s, *minimum = m;
      int codes = 0, squares = 0;
      for (int i = 0; i < 32; i++) codes += q[i], squares += q[i] * q[i];
      float products[8] = {0};
      for (int i = 0; i < 32; i += 8)
        for (int j = 0; j < 8; j++) products[j] += x[i + j] * (float)q[i + j];
      float product = sum_of_lanes(products);
      float determinant = (float)(32 * squares - codes * codes);
      if (determinant <= 0) break;
      s = (32 * product - (float)codes * sum) / determinant;
      m = ((float)codes * product - (float)squares * sum) / determinant;
      if (m < 0) m = 0, s = product / (float)squares;
      if (!(s > 0)) break;
    }
  }
}

/// Scales of 256 values: f16 d and dmin at `head`, 12 bytes after them, and the codes. NaN counts as 0; magnitudes beyond
/// 2e6, which the format cannot hold, are cut off.
FORMAT void encode_affine_groups(const float *values, int top, uint8_t *head, uint8_t *q) {
#pragma STDC FP_CONTRACT OFF
  float x[256], scales[8], minima[8];
  for (int i = 0; i < 256; i++) x[i] = bounded(values[i], 2e6f);
  for (int g = 0; g < 8; g++) fit_affine(x + 32 * g, top, &scales[g], &minima[g]);
  store_u16(head, f16_of_float(range_high(scales, 8) / 63));
  store_u16(head + 2, f16_of_float(range_high(minima, 8) / 63));
  memset(head + 4, 0, 12);
  float d = load_f16(head), dmin = load_f16(head + 2), d_inverse = inverse_of(d), dmin_inverse = inverse_of(dmin);
  for (int g = 0; g < 8; g++) {
    int s = code_of_float(scales[g] * d_inverse + 0.5f, 63), m = code_of_float(minima[g] * dmin_inverse + 0.5f, 63);
    float best = INFINITY;
    int best_s = s, best_m = m;
    for (int near_s = s > 0 ? s - 1 : 0; near_s <= s + 1 && near_s < 64; near_s++)
      for (int near_m = m > 0 ? m - 1 : 0; near_m <= m + 1 && near_m < 64; near_m++) {
        float error = affine_codes(x + 32 * g, d * (float)near_s, dmin * (float)near_m, top, q + 32 * g);
        if (error < best) best = error, best_s = near_s, best_m = near_m;
      }
    put_group(head + 4, g, best_s, best_m);
    affine_codes(x + 32 * g, d * (float)best_s, dmin * (float)best_m, top, q + 32 * g);
  }
}

/// The scale lines of a row of a panel: d, dmin, then s and m of each group.
FORMAT void put_affine_groups(const uint8_t *block, uint8_t *lines, int row) {
  put_half(lines, row, block);
  put_half(lines + HALF_LINE, row, block + 2);
  for (int g = 0; g < 8; g++) {
    lines[2 * HALF_LINE + 2 * g * CODE_ROWS + row] = (uint8_t)group_scale(block + 4, g);
    lines[2 * HALF_LINE + (2 * g + 1) * CODE_ROWS + row] = (uint8_t)group_minimum(block + 4, g);
  }
}
