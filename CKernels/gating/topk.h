// The k largest of n scores: ranks by counting where they are few, a threshold before that where they are many, a heap for large k.
#pragma once

enum {
  /// Most scores whose ranks are counted directly.
  RANKED = 256,
  /// Largest k of a list of candidates, and the candidates it holds: scores pass in words of 64.
  FEW = 32,
  WORD = 64,
  CANDIDATES = 2 * WORD,
  /// Scores that a first threshold is taken from.
  SAMPLE = 1024
};

/// How many of n values stand before value i: the greater ones, and equal ones of lower index. 0 for NaN.
BODY int64_t rank_of(const float *values, int64_t n, int64_t i) {
  int64_t rank = 0, own = i / LANES;
  floats value = values[i];
  for (int64_t b = 0; b < own; b++) rank += __builtin_popcountll(bits_not_less(load_floats(values + b * LANES), value));
  floats v = load_some(values + own * LANES, n - own * LANES, -INFINITY);
  uint64_t before = (1ull << (i % LANES)) - 1;
  rank += __builtin_popcountll(bits_greater(v, value) | (bits_not_less(v, value) & before));
  for (int64_t b = own + 1; b < (n + LANES - 1) / LANES; b++)
    rank += __builtin_popcountll(bits_greater(load_some(values + b * LANES, n - b * LANES, -INFINITY), value));
  return rank;
}

/// Positions of the k first by rank; n is at most RANKED. NaN and -inf land behind the others.
static int64_t topk_by_ranks(const float *values, int64_t n, int64_t k, int32_t *positions) {
  int32_t order[RANKED + 1];
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t rank = rank_of(values, n, i);
    order[values[i] == values[i] ? rank : RANKED] = (int32_t)i;
    found += values[i] > -INFINITY;
  }
  if (found > k) found = k;
  for (int64_t i = 0; i < found; i++) positions[i] = order[i];
  return found;
}

/// A value that at least k of n scores reach, or the lowest finite one: the k-th largest of the maxima of `lanes` interleaved parts.
BODY float reached_by(const float *scores, int64_t n, int64_t k, int lanes) {
  floats most[4];
  for (int v = 0; v < lanes / LANES; v++) most[v] = -INFINITY;
  for (int64_t i = 0; i + lanes <= n; i += lanes)
    for (int v = 0; v < lanes / LANES; v++) most[v] = larger(load_floats(scores + i + v * LANES), most[v]);
  float threshold = INFINITY;
  for (int i = 0; i < lanes; i++) {
    float value = most[i / LANES][i % LANES];
    int64_t greater = 0;
    for (int v = 0; v < lanes / LANES; v++) greater += __builtin_popcountll(bits_greater(most[v], value));
    threshold = greater < k && value < threshold ? value : threshold;
  }
  return threshold > -0x1.fffffep127f ? threshold : -0x1.fffffep127f;
}

/// The next float above v; NaN, which no score reaches, above infinity.
BODY float next_above(float v) {
  if (v == 0) return 0x1p-149f;
  uint32_t bits = bits_of_float(v);
  return float_of_bits(v > 0 ? bits + 1 : bits - 1);
}

typedef struct {
  float values[CANDIDATES];
  int32_t ids[CANDIDATES];
  int64_t count;
} candidates;

/// Keeps the best k, in order; equal scores keep the order of their ids.
BODY void keep_best(candidates *list, int64_t k) {
  float values[FEW];
  int32_t ids[FEW], positions[FEW];
  int64_t kept = topk_by_ranks(list->values, list->count, k, positions);
  for (int64_t i = 0; i < kept; i++) values[i] = list->values[positions[i]], ids[i] = list->ids[positions[i]];
  memcpy(list->values, values, (size_t)kept * sizeof *values);
  memcpy(list->ids, ids, (size_t)kept * sizeof *ids);
  list->count = kept;
}

/// k is at most FEW. Scores below the threshold are passed over; it rises whenever the list is cut down.
BODY int64_t topk_by_threshold(const float *scores, int64_t n, int64_t k, int32_t *ids) {
  candidates list;
  list.count = 0;
  int64_t sample = n < SAMPLE ? n : SAMPLE;
  float threshold = k <= 16 ? reached_by(scores, sample, k, 16) : reached_by(scores, sample, k, 32);
  for (int64_t i = 0; i < n; i += WORD) {
    uint64_t word = 0;
    int64_t count = n - i < WORD ? n - i : WORD;
    if (count == WORD)
      for (int v = 0; v < WORD / LANES; v++) word |= bits_not_less(load_floats(scores + i + v * LANES), threshold) << (v * LANES);
    else
      for (int64_t v = 0; v < count; v += LANES) word |= bits_not_less(load_some(scores + i + v, count - v, -INFINITY), threshold) << v;
    if (list.count > CANDIDATES - WORD && word) {
      keep_best(&list, k);
      threshold = next_above(list.values[k - 1]);
    }
    for (; word; word &= word - 1) {
      int64_t at = i + __builtin_ctzll(word);
      list.values[list.count] = scores[at];
      list.ids[list.count++] = (int32_t)at;
    }
  }
  keep_best(&list, k);
  memcpy(ids, list.ids, (size_t)list.count * sizeof *ids);
  return list.count;
}

/// True when score a stands behind score b: it is smaller, or equal with a higher id.
BODY bool is_behind(const float *scores, int32_t a, int32_t b) { return scores[a] < scores[b] || (scores[a] == scores[b] && a > b); }

/// Moves the root of a heap of `count` ids, the hindmost on top, to its place.
static void sink_root(const float *scores, int32_t *ids, int64_t count) {
  int32_t id = ids[0];
  int64_t at = 0;
  for (int64_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && is_behind(scores, ids[child + 1], ids[child])) child++;
    if (!is_behind(scores, ids[child], id)) break;
    ids[at] = ids[child];
  }
  ids[at] = id;
}

/// Any k: the best so far are a heap in `ids`, sorted at the end.
static int64_t topk_by_heap(const float *scores, int64_t n, int64_t k, int32_t *ids) {
  int64_t found = 0;
  for (int64_t i = 0; i < n; i++) {
    if (!(scores[i] > -INFINITY)) continue;
    if (found == k) {
      if (!(scores[i] > scores[ids[0]])) continue;
      ids[0] = (int32_t)i;
      sink_root(scores, ids, k);
      continue;
    }
    int64_t at = found++;
    for (int64_t parent; at > 0 && is_behind(scores, (int32_t)i, ids[parent = (at - 1) / 2]); at = parent) ids[at] = ids[parent];
    ids[at] = (int32_t)i;
  }
  for (int64_t last = found - 1; last > 0; last--) {
    int32_t hindmost = ids[0];
    ids[0] = ids[last];
    sink_root(scores, ids, last);
    ids[last] = hindmost;
  }
  return found;
}

static int64_t topk(const float *scores, int64_t n, int64_t k, int32_t *ids) {
  if (k <= 0) return 0;
  if (n <= 16 || (n <= RANKED && (k > FEW || 2 * k >= n))) return topk_by_ranks(scores, n, k, ids);
  return k <= FEW ? topk_by_threshold(scores, n, k, ids) : topk_by_heap(scores, n, k, ids);
}
