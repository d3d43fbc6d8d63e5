// Router logits: products and sums in double in one fixed order, rounded to f32 once.
#pragma once

// A tile of experts and tokens whose sums and rows stay in 16 registers, two of them for eight doubles.
#ifndef LOGIT_EXPERTS
#define LOGIT_EXPERTS 2
#define LOGIT_TOKENS 2
#endif
/// Experts that one token meets at once.
enum { LOGIT_EXPERTS_ALONE = 4 };
_Static_assert(LOGIT_EXPERTS <= LOGIT_EXPERTS_ALONE, "sums of a tile");

/// The products of `experts` rows of w with `tokens` rows of x: eight sums by column modulo 8, then one tree.
///
/// The product of two floats is exact in double, so a fused multiply-add changes nothing.
BODY void logits_tile(const float *x, int64_t x_stride, int tokens, const float *w, const float *bias, int experts, int64_t hidden, float *logits,
                      int64_t stride) {
  doubles sums[LOGIT_EXPERTS_ALONE][LOGIT_TOKENS];
  for (int e = 0; e < experts; e++)
    for (int t = 0; t < tokens; t++) sums[e][t] = 0;
  int64_t c = 0;
  for (; c + LANES <= hidden; c += LANES) {
    doubles rows[LOGIT_EXPERTS_ALONE];
    for (int e = 0; e < experts; e++) rows[e] = widen(load_floats(w + e * hidden + c));
    for (int t = 0; t < tokens; t++) {
      doubles wide = widen(load_floats(x + t * x_stride + c));
      for (int e = 0; e < experts; e++) sums[e][t] += rows[e] * wide;
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

/// All experts for a number of tokens known at compile time.
BODY void logits_of(const float *x, int64_t x_stride, int tokens, const float *w, const float *bias, int64_t experts, int64_t hidden, float *logits,
                    int64_t stride) {
  int tile = tokens == 1 ? LOGIT_EXPERTS_ALONE : LOGIT_EXPERTS;
  int64_t e = 0;
  for (; e + tile <= experts; e += tile)
    logits_tile(x, x_stride, tokens, w + e * hidden, bias ? bias + e : NULL, tile, hidden, logits + e, stride);
  for (; e < experts; e++) logits_tile(x, x_stride, tokens, w + e * hidden, bias ? bias + e : NULL, 1, hidden, logits + e, stride);
}

static void router_logits(const float *x, int64_t x_stride, int64_t m, const float *w, const float *bias, int64_t experts, int64_t hidden,
                          float *logits, int64_t stride) {
  for (int64_t tokens; m > 0; m -= tokens, x += tokens * x_stride, logits += tokens * stride) {
    tokens = m < LOGIT_TOKENS ? m : LOGIT_TOKENS;
#define CASE(n) \
  case n: if (n <= LOGIT_TOKENS) logits_of(x, x_stride, n, w, bias, experts, hidden, logits, stride); break;
    switch (tokens) { FOR_TOKENS(CASE) }
#undef CASE
  }
}
