// Router logits: products and sums in double in the order of gating/logits.h, rounded to f32 once.

enum { LOGIT_LANES = 8, LOGIT_EXPERTS = 8, LOGIT_TOKENS = 4 };

/// A group takes LOGIT_EXPERTS experts and LOGIT_TOKENS tokens; lane i of an expert sums the columns that are i modulo 8. The product of two floats
/// is exact in double.
kernel __attribute__((reqd_work_group_size(LOGIT_EXPERTS *LOGIT_LANES, 1, 1))) void router_logits(
    const global float *x, const global float *weights, const global float *biases, global float *logits, int tokens, int experts, int hidden,
    int has_bias) {
  local double sums[LOGIT_TOKENS][LOGIT_EXPERTS][LOGIT_LANES];
  const int lane = get_local_id(0) % LOGIT_LANES, place = get_local_id(0) / LOGIT_LANES;
  const int expert = get_group_id(0) * LOGIT_EXPERTS + place, first = get_global_id(1) * LOGIT_TOKENS, count = min(tokens - first, (int)LOGIT_TOKENS);
  double sum[LOGIT_TOKENS];
  UNROLLED for (int t = 0; t < LOGIT_TOKENS; t++) sum[t] = 0;
  const global float *row = weights + (long)min(expert, experts - 1) * hidden;
  for (int column = lane; column < hidden; column += LOGIT_LANES) {
    const double weight = row[column];
    UNROLLED for (int t = 0; t < LOGIT_TOKENS; t++) sum[t] = fma(weight, (double)x[(long)(first + min(t, count - 1)) * hidden + column], sum[t]);
  }
  UNROLLED for (int t = 0; t < LOGIT_TOKENS; t++) sums[t][place][lane] = sum[t];
  barrier(CLK_LOCAL_MEM_FENCE);
  if (lane < count && expert < experts) {
    const local double *s = sums[lane][place];
    double total = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    if (has_bias) total += biases[expert];
    logits[(long)(first + lane) * experts + expert] = (float)total;
  }
}
