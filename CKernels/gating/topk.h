// The k largest of n scores by insertion into a short sorted list.
#pragma once

/// Strictly greater keeps the lower id in front; NaN compares false and -inf is refused, so neither is ever taken.
static int64_t topk(const float *scores, int64_t n, int64_t k, int32_t *ids) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    float s = scores[i];
    if (!(s > -INFINITY)) continue;
    if (found == k && !(k && s > scores[ids[k - 1]])) continue;
    int64_t at = found < k ? found++ : k - 1;
    for (; at > 0 && s > scores[ids[at - 1]]; at--) ids[at] = ids[at - 1];
    ids[at] = (int32_t)i;
  }
  return found;
}
