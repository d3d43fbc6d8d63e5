// Router scores of one token: double arithmetic in one fixed order, rounded to f32 once.
#pragma once

/// Exponentials that softmax keeps between its sum and its quotients; those of more logits are computed twice.
enum { KEPT = 512 };

BODY doubles softmax_powers(const float *logits, int64_t count, float largest) {
  return exp_exact(widen(load_some(logits, count, 0)) - (double)largest);
}

static void softmax(const float *logits, int64_t n, float *scores) {
#pragma clang fp contract(off)
  doubles kept[KEPT / LANES];
  floats most = -INFINITY;
  for (int64_t i = 0; i < n; i += LANES) most = larger(load_some(logits + i, n - i, -INFINITY), most);
  float largest = -INFINITY;
  for (int i = 0; i < LANES; i++) largest = most[i] > largest ? most[i] : largest;
  double sum = 0;
  for (int64_t i = 0; i < n; i += LANES) {
    doubles powers = softmax_powers(logits + i, n - i, largest);
    if (i < KEPT) kept[i / LANES] = powers;
    for (int64_t j = 0; j < (n - i < LANES ? n - i : LANES); j++) sum += powers[j];
  }
  for (int64_t i = 0; i < n; i += LANES) {
    doubles powers = i < KEPT ? kept[i / LANES] : softmax_powers(logits + i, n - i, largest);
    store_some(narrow(powers / sum), scores + i, n - i);
  }
}

static void router_scores(moe_score kind, const float *logits, int64_t n, float *scores) {
  switch (kind) {
    case MOE_SCORE_SOFTMAX: softmax(logits, n, scores); break;
    case MOE_SCORE_SIGMOID:
      for (int64_t i = 0; i < n; i += LANES) store_some(narrow(sigmoid_exact(widen(load_some(logits + i, n - i, 0)))), scores + i, n - i);
      break;
    case MOE_SCORE_SQRTSOFTPLUS:
      for (int64_t i = 0; i < n; i += LANES) store_some(narrow(sqrtsoftplus_exact(widen(load_some(logits + i, n - i, 0)))), scores + i, n - i);
      break;
    default: memmove(scores, logits, (size_t)n * sizeof *scores);
  }
}
