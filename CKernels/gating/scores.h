// Router logits and scores of one token: double arithmetic in one fixed order, rounded to f32 once.
#pragma once

/// The product of two floats is exact in double, so a fused multiply-add changes nothing.
static void router_logits(const float *x, const float *w, const float *bias, int64_t experts, int64_t hidden, float *logits) {
  for (int64_t e = 0; e < experts; e++, w += hidden) {
    double sums[8] = {0};
    int64_t c = 0;
    for (; c + 8 <= hidden; c += 8)
      for (int j = 0; j < 8; j++) sums[j] += (double)x[c + j] * (double)w[c + j];
    for (int j = 0; c < hidden; c++, j++) sums[j] += (double)x[c] * (double)w[c];
    double total = ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
    logits[e] = (float)(bias ? total + (double)bias[e] : total);
  }
}

static double sigmoid_exact(double z) {
  double e = exp_exact(z < 0 ? z : -z);
  return z < 0 ? e / (1 + e) : 1 / (1 + e);
}

static void router_scores(moe_score kind, const float *logits, int64_t n, float *scores) {
#pragma clang fp contract(off)
  if (kind == MOE_SCORE_SOFTMAX) {
    float largest = -INFINITY;
    for (int64_t i = 0; i < n; i++)
      if (logits[i] > largest) largest = logits[i];
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += exp_exact((double)logits[i] - (double)largest);
    for (int64_t i = 0; i < n; i++) scores[i] = (float)(exp_exact((double)logits[i] - (double)largest) / sum);
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    double z = logits[i];
    switch (kind) {
      case MOE_SCORE_SIGMOID: scores[i] = (float)sigmoid_exact(z); break;
      case MOE_SCORE_SQRTSOFTPLUS: scores[i] = (float)sqrt(log1p_exact(exp_exact(z < 0 ? z : -z)) + (z > 0 ? z : 0)); break;
      default: scores[i] = logits[i];
    }
  }
}
