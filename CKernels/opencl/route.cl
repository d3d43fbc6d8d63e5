// The experts of a token and their weights from its logits, by the arithmetic and in the order of gating/ and of Router: the same bits.

enum { ROUTERS = 64, MOST_SCORES = 1024, MOST_GROUPS = 64, MOST_CHOSEN = 64 };
/// As in CMoEKernels.h, and RouterConfiguration.Weight.
enum { SOFTMAX, SIGMOID, SQRTSOFTPLUS, IDENTITY };
enum { WEIGHT_SCORE, WEIGHT_SOFTMAX, WEIGHT_SIGMOID, WEIGHT_ONE };
/// Bits of `flags`.
enum { HAS_CHOICE_BIAS = 1, TOP_TWO_SUM = 2, NORMALIZES = 4, NORM_OF_ALL = 8, NORM_OF_SQUARES = 16, RESCALES = 32 };

/// Scores of n logits, by all items of the group.
void score_all(int kind, const local float *logits, int n, local float *scores, local double *powers) {
  float largest = -INFINITY;
  for (int i = 0; i < n; i++) largest = logits[i] > largest ? logits[i] : largest;
  for (int i = get_local_id(0); i < n; i += ROUTERS) {
    const double logit = logits[i];
    powers[i] = kind == SOFTMAX      ? exp_exact(logit - largest)
                : kind == SIGMOID    ? sigmoid_exact(logit)
                : kind == SQRTSOFTPLUS ? sqrtsoftplus_exact(logit)
                                       : logit;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  double sum = kind == SOFTMAX ? 0 : 1;
  for (int i = 0; kind == SOFTMAX && i < n; i++) sum += powers[i];
  for (int i = get_local_id(0); i < n; i += ROUTERS) scores[i] = (float)(powers[i] / sum);
  barrier(CLK_LOCAL_MEM_FENCE);
}

/// True when value a of place i stands before value b of place j; NaN comes last.
bool is_ahead(float a, int i, float b, int j) {
  const float x = isnan(a) ? -INFINITY : a, y = isnan(b) ? -INFINITY : b;
  if (x != y) return x > y;
  return isnan(a) == isnan(b) ? i < j : isnan(b);
}

/// How many of n values stand before value i.
int rank_of(const local float *values, int n, int i) {
  int rank = 0;
  for (int j = 0; j < n; j++) rank += is_ahead(values[j], j, values[i], i);
  return rank;
}

/// The largest of n scores, or the sum of the two largest.
float group_score(const local float *scores, int n, int flags) {
  float best = -INFINITY, second = -INFINITY;
  for (int i = 0; i < n; i++) {
    const float below = scores[i] > best ? best : scores[i];
    second = below > second ? below : second;
    best = scores[i] > best ? scores[i] : best;
  }
  return flags & TOP_TWO_SUM ? best + second : best;
}

/// One group routes one token. `choices` are [tokens, k] experts, -1 for none, as many weights, and 1 for each token with NaN or +inf among its
/// logits: such a token gets the experts of its best logits with NaN for weights.
kernel __attribute__((reqd_work_group_size(ROUTERS, 1, 1))) void route(
    const global float *logits, const global float *choice_bias, global int *choices, int tokens, int n, int k, int score, int weight, int flags,
    int groups, int kept, float fill, double minimum, double epsilon, double scale) {
  local float own[MOST_SCORES], scores[MOST_SCORES], choice[MOST_SCORES], group_scores[MOST_GROUPS];
  local float selected[MOST_CHOSEN], found_weights[MOST_CHOSEN];
  local double powers[MOST_SCORES];
  local int chosen[MOST_CHOSEN];
  const int item = get_local_id(0), token = get_global_id(1), width = groups > 0 ? n / groups : n;
  for (int i = item; i < n; i += ROUTERS) own[i] = logits[(long)token * n + i];
  for (int i = item; i < k; i += ROUTERS) chosen[i] = -1;
  barrier(CLK_LOCAL_MEM_FENCE);
  bool is_lost = false;
  for (int i = 0; i < n; i++) is_lost = is_lost || isnan(own[i]) || own[i] == INFINITY;
  score_all(score, own, n, scores, powers);
  for (int i = item; i < n; i += ROUTERS) choice[i] = is_lost ? own[i] : scores[i] + (flags & HAS_CHOICE_BIAS ? choice_bias[i] : 0);
  barrier(CLK_LOCAL_MEM_FENCE);
  const int limited = is_lost ? 0 : groups;
  for (int g = item; g < limited; g += ROUTERS) group_scores[g] = group_score(choice + g * width, width, flags);
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < n && !is_lost; i += ROUTERS) {
    if (limited > 0 && !(group_scores[i / width] > -INFINITY && rank_of(group_scores, groups, i / width) < kept)) {
      choice[i] = fill;
      if (fill > -INFINITY) scores[i] = fill;
    }
    if (own[i] == -INFINITY) choice[i] = -INFINITY;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = item; i < n; i += ROUTERS) {
    const int rank = is_lost || choice[i] > -INFINITY ? rank_of(choice, n, i) : k;
    if (rank < k) chosen[rank] = i;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  int found = 0;
  while (found < k && chosen[found] >= 0) found++;
  for (int i = item; i < found; i += ROUTERS) selected[i] = own[chosen[i]];
  barrier(CLK_LOCAL_MEM_FENCE);
  score_all(weight == WEIGHT_SOFTMAX ? SOFTMAX : weight == WEIGHT_SIGMOID ? SIGMOID : IDENTITY, selected, found, found_weights, powers);
  for (int i = item; i < found; i += ROUTERS) {
    if (weight == WEIGHT_SCORE) found_weights[i] = scores[chosen[i]];
    if (weight == WEIGHT_ONE) found_weights[i] = 1;
    if (is_lost) found_weights[i] = NAN;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
  double divisor = 1;
  if (flags & NORMALIZES) {
    const local float *normed = flags & NORM_OF_ALL ? scores : found_weights;
    double norm = 0;
    for (int i = 0; i < (flags & NORM_OF_ALL ? n : found); i++) {
      const double value = normed[i];
      norm += flags & NORM_OF_SQUARES ? value * value : fabs(value);
    }
    if (flags & NORM_OF_SQUARES) norm = sqrt(norm);
    divisor = (minimum >= norm ? minimum : norm) + epsilon;
  }
  for (int i = item; i < k; i += ROUTERS) {
    float value = i < found ? found_weights[i] : 0;
    if (flags & RESCALES) value = value == 0 ? 0 : (float)(value / divisor * scale);
    choices[token * k + i] = chosen[i];
    choices[(tokens + token) * k + i] = as_int(value);
  }
  if (item == 0) choices[2 * tokens * k + token] = is_lost;
}
