// Group-limited routing: experts outside the best groups lose their scores.
#pragma once

/// The largest of n scores, or the sum of the two largest; NaN is passed over.
BODY float group_score(moe_group_score kind, const float *scores, int64_t n) {
  floats best = -INFINITY, second = -INFINITY;
  for (int64_t i = 0; i < n; i += LANES) {
    floats v = load_some(scores + i, n - i, -INFINITY);
    second = larger(v > best ? best : v, second);
    best = larger(v, best);
  }
  float first = -INFINITY, next = -INFINITY;
  for (int i = 0; i < LANES; i++) {
    float b = best[i], s = second[i], below = b > first ? first : b;
    first = b > first ? b : first;
    below = s > below ? s : below;
    next = below > next ? below : next;
  }
  return kind == MOE_GROUP_MAX ? first : first + next;
}

static void limit_groups(moe_group_score kind, int64_t groups, int64_t kept, float fill, int64_t n, float *choice, float *scores,
                         float *group_scores, int32_t *ids) {
  int64_t width = n / groups;
  for (int64_t g = 0; g < groups; g++) group_scores[g] = group_score(kind, choice + g * width, width);
  int64_t found = topk(group_scores, groups, kept, ids);
  for (int64_t g = 0; g < groups; g++) group_scores[g] = 0;
  for (int64_t i = 0; i < found; i++) group_scores[ids[i]] = 1;
  for (int64_t g = 0; g < groups; g++) {
    if (group_scores[g] != 0) continue;
    for (int64_t e = g * width; e < (g + 1) * width; e++) choice[e] = fill;
    if (fill > -INFINITY)
      for (int64_t e = g * width; e < (g + 1) * width; e++) scores[e] = fill;
  }
}
