// Router logits: products and sums in double in one fixed order, rounded to f32 once.
#pragma once

/// The products of `experts` rows of w with `tokens` rows of x: eight sums by column modulo 8, then one tree.
///
/// The product of two floats is exact in double, so a fused multiply-add changes nothing.
BODY void logits_tile(const float *x, int64_t x_stride, int tokens, const float *w, const float *bias, int experts, int64_t hidden, float *logits,
                      int64_t stride) {
  doubles sums[4][2];
  for (int e = 0; e < experts; e++)
    for (int t = 0; t < tokens; t++) sums[e][t] = 0;
  int64_t c = 0;
  for (; c + LANES <= hidden; c += LANES) {
    doubles wide[2];
    for (int t = 0; t < tokens; t++) wide[t] = widen(load_floats(x + t * x_stride + c));
    for (int e = 0; e < experts; e++) {
      doubles row = widen(load_floats(w + e * hidden + c));
      for (int t = 0; t < tokens; t++) sums[e][t] += row * wide[t];
    }
  }
  for (int e = 0; e < experts; e++)
    for (int t = 0; t < tokens; t++) {
      double s[LANES];
      memcpy(s, &sums[e][t], sizeof s);
      for (int64_t i = c; i < hidden; i++) s[i - c] += (double)w[e * hidden + i] * (double)x[t * x_stride + i];
      double total = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
      logits[t * stride + e] = (float)(bias ? total + (double)bias[e] : total);
    }
}

/// Tiles of four experts for one token, or two for two: sums and rows stay in 16 registers.
BODY void logits_of(const float *x, int64_t x_stride, int tokens, const float *w, const float *bias, int64_t experts, int64_t hidden, float *logits,
                    int64_t stride) {
  int tile = 4 / tokens;
  int64_t e = 0;
  for (; e + tile <= experts; e += tile)
    logits_tile(x, x_stride, tokens, w + e * hidden, bias ? bias + e : NULL, tile, hidden, logits + e, stride);
  for (; e < experts; e++) logits_tile(x, x_stride, tokens, w + e * hidden, bias ? bias + e : NULL, 1, hidden, logits + e, stride);
}

static void router_logits(const float *x, int64_t x_stride, int64_t m, const float *w, const float *bias, int64_t experts, int64_t hidden,
                          float *logits, int64_t stride) {
  int64_t t = 0;
  for (; t + 2 <= m; t += 2) logits_of(x + t * x_stride, x_stride, 2, w, bias, experts, hidden, logits + t * stride, stride);
  if (t < m) logits_of(x + t * x_stride, x_stride, 1, w, bias, experts, hidden, logits + t * stride, stride);
}
