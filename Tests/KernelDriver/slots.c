// The slots that belong to no format: router, nonlinearities, rounding to int8, weighted sum, peaks.
#include "driver.h"

/// Scores of a row, and tokens whose logits are computed together: one tile of any table and more.
enum { MOST = 1100, MOST_LOGITS = 14 };

static void check_logits(const moe_kernels *kernels, const moe_kernels *scalar) {
  static const int64_t shapes[][2] = {{1, 1}, {2, 3}, {3, 7}, {4, 8}, {5, 9}, {6, 64}, {8, 15}, {16, 33}, {60, 257}, {7, 1031}};
  seeded random = {34};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int64_t m = 0; m <= MOST_LOGITS; m++)
      for (int has_bias = 0; has_bias < 2; has_bias++) {
        int64_t experts = shapes[s][0], hidden = shapes[s][1], stride = hidden + 3 * has_bias, bytes = experts * hidden * 4;
        static float x[MOST_LOGITS * MOST], bias[64], all[MOST_LOGITS * 70], alone[MOST_LOGITS * 70];
        float *w = take_guarded(bytes);
        fill_floats(&random, w, experts * hidden, 1), fill_floats(&random, bias, 64, 1);
        for (int64_t i = 0; i < MOST_LOGITS * stride; i++) x[i] = i % stride < hidden ? next_float(&random) : (float)NAN;
        for (int i = 0; i < MOST_LOGITS * 70; i++) all[i] = alone[i] = -5;
        kernels->router_logits(x, stride, m, w, has_bias ? bias : NULL, experts, hidden, all, experts + 3);
        bool is_exact = true;
        for (int64_t t = 0; t < m; t++) {
          scalar->router_logits(x + t * stride, stride, 1, w, has_bias ? bias : NULL, experts, hidden, alone + t * (experts + 3), experts + 3);
          for (int64_t e = 0; e < experts; e++) {
            double sum = has_bias ? (double)bias[e] : 0, v = (double)alone[t * (experts + 3) + e];
            for (int64_t c = 0; c < hidden; c++) sum += (double)w[e * hidden + c] * (double)x[t * stride + c];
            is_exact &= fabs(v - sum) <= 0.5001 * 0x1p-23 * fabs(sum) + 1e-13;
          }
        }
        check(is_exact, "router_logits %lld x %lld: not the sum in double", (long long)experts, (long long)hidden);
        check(same_bits(all, alone, MOST_LOGITS * 70), "router_logits %lld x %lld, %lld tokens: other bits than the scalar table's one by one",
              (long long)experts, (long long)hidden, (long long)m);
        if (kernels == scalar) record_floats(alone, MOST_LOGITS * 70);
        give_guarded(w, bytes);
      }
}

/// Ordinary values, ties, and every kind of number that is none.
static void fill_awkward(seeded *random, int style, float *values, int64_t n) {
  static const float awkward[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 0x1p-149f, -0x1p-149f, 0x1p-126f,
                                  709.5f, 710, -745, -746, 88.7f, -103.9f, 1e38f, -1e38f};
  static const float amplitudes[] = {0.001f, 3, 80, 3000};
  for (int64_t i = 0; i < n; i++) {
    float v = next_float(random);
    values[i] = style < 4 ? amplitudes[style] * v : style == 4 ? floorf(4 * v) : next_below(random, 4) ? v : awkward[next_below(random, 16)];
  }
}

static void check_router(const moe_kernels *kernels, const moe_kernels *scalar) {
  static const int64_t counts[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 60, 64, 127, 128, 256, 257, 511, 512, 513, 1030};
  static float scores[MOST], expected[MOST];
  static int32_t ids[MOST], expected_ids[MOST];
  seeded random = {35};
  for (size_t s = 0; s < sizeof counts / sizeof *counts; s++)
    for (int style = 0; style < 6; style++) {
      int64_t n = counts[s], bytes = n * 4;
      float *logits = take_guarded(bytes);
      fill_awkward(&random, style, logits, n);
      for (int kind = MOE_SCORE_SOFTMAX; kind <= MOE_SCORE_IDENTITY; kind++) {
        scores[n] = expected[n] = -5;
        scalar->router_scores((moe_score)kind, logits, n, expected), kernels->router_scores((moe_score)kind, logits, n, scores);
        check(same_bits(scores, expected, n + 1), "router_scores %d of %lld, style %d: other bits than the scalar table's", kind, (long long)n,
              style);
        if (kernels == scalar) record_floats(expected, n);
      }
      for (int64_t k = 1; k <= n; k = k < 12 || k == n ? k + 1 : k * 3 > n ? n : k * 3) {
        for (int64_t i = 0; i <= n; i++) ids[i] = expected_ids[i] = -7;
        int64_t found = kernels->topk(logits, n, k, ids), count = 0;
        for (; count < k; count++) {
          int64_t best = -1;
          for (int64_t i = 0; i < n; i++) {
            bool is_taken = !(logits[i] > -INFINITY);
            for (int64_t j = 0; j < count; j++) is_taken |= expected_ids[j] == i;
            if (!is_taken && (best < 0 || logits[i] > logits[best])) best = i;
          }
          if (best < 0) break;
          expected_ids[count] = (int32_t)best;
        }
        bool is_expected = found == count && !memcmp(ids, expected_ids, (size_t)count * 4) && ids[k] == -7;
        check(is_expected, "topk %lld of %lld, style %d: other ids than the largest", (long long)k, (long long)n, style);
        if (kernels == scalar) record_bytes(expected_ids, count * 4);
        if (n > 128 && k > 12) break;
      }
      give_guarded(logits, bytes);
    }
}

static void check_groups(const moe_kernels *kernels, const moe_kernels *scalar) {
  static const int64_t shapes[][3] = {{1, 1, 1}, {2, 1, 8}, {4, 2, 12}, {8, 4, 256}, {8, 3, 72}, {3, 3, 21}, {16, 5, 160}};
  seeded random = {36};
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
    for (int style = 1; style < 6; style++)
      for (int variant = 0; variant < 4; variant++) {
        int64_t groups = shapes[s][0], kept = shapes[s][1], n = shapes[s][2];
        float choice[2][300], scores[2][300], group_scores[20], fill = variant / 2 ? 0 : -INFINITY;
        int32_t ids[20];
        fill_awkward(&random, style, choice[0], n), fill_awkward(&random, 1, scores[0], n);
        choice[0][n] = scores[0][n] = -5;
        memcpy(choice[1], choice[0], sizeof choice[0]), memcpy(scores[1], scores[0], sizeof scores[0]);
        scalar->limit_groups((moe_group_score)(variant % 2), groups, kept, fill, n, choice[0], scores[0], group_scores, ids);
        kernels->limit_groups((moe_group_score)(variant % 2), groups, kept, fill, n, choice[1], scores[1], group_scores, ids);
        check(same_bits(choice[0], choice[1], n + 1) && same_bits(scores[0], scores[1], n + 1),
              "limit_groups %lld of %lld, %lld experts, variant %d: other bits than the scalar table's", (long long)kept, (long long)groups,
              (long long)n, variant);
        if (kernels == scalar) record_floats(choice[0], n), record_floats(scores[0], n);
      }
}

static double naive_activation(moe_activation kind, double x) {
  double inner = 0.7978845608028654 * (x + 0.044715 * x * x * x);
  switch (kind) {
    case MOE_GELU: return 0.5 * x * (1 + erf(x / sqrt(2.0)));
    case MOE_GELU_TANH: return x / (1 + exp(-2 * inner));
    case MOE_RELU: return x < 0 ? 0 : x;
    case MOE_RELU2: return x < 0 ? 0 : x * x;
    default: return x / (1 + exp(-x));
  }
}

static void check_activate(const moe_kernels *kernels) {
  static const float awkward[] = {0, -0.0f, 7, -7, 7.5f, -9, 88, -88, 100, -100, 1e-20f, -1e-30f, 30, -30};
  static float gate[300], up[300], out[300];
  seeded random = {31};
  for (int kind = MOE_SILU; kind <= MOE_SWIGLU_OAI; kind++)
    for (int64_t n = 0; n <= 257; n += n < 40 ? 1 : 31)
      for (int variant = kind == MOE_SWIGLU_OAI ? 1 : 0; variant < 3; variant++) {
        double limit = variant == 2 ? 7 : INFINITY;
        bool holds = true;
        for (int64_t j = 0; j < n; j++) {
          gate[j] = next_below(&random, 3) ? 10 * next_float(&random) : awkward[next_below(&random, 14)];
          up[j] = next_below(&random, 3) ? 10 * next_float(&random) : awkward[next_below(&random, 14)];
        }
        for (int64_t j = 0; j < n + 4; j++) out[j] = -5;
        kernels->activate((moe_expert_activation){(moe_activation)kind, (float)limit, 1.702f}, variant ? gate : NULL, up, n, out);
        for (int64_t j = 0; j < n; j++) {
          double g = fmin((double)gate[j], limit), u = variant ? fmin(fmax((double)up[j], -limit), limit) : (double)up[j], expected;
          if (!variant)
            expected = naive_activation((moe_activation)kind, u);
          else if (kind == MOE_SWIGLU_OAI)
            expected = (u + 1) * g / (1 + exp(-(double)1.702f * g));
          else
            expected = naive_activation((moe_activation)kind, g) * u;
          // 16 roundings of the value itself, and of the argument where it is small beside the exponential's.
          double argument = variant ? fabs((double)gate[j]) : 1, other = fmin(fabs((double)up[j]) + 1, 10);
          double bound = 16 * 0x1p-23 * (fabs(expected) + fmin(argument, 1) * other * (argument < 10 ? 1 : 0.01)) + 1e-36;
          holds &= fabs((double)out[j] - expected) <= bound;
        }
        for (int64_t j = n; j < n + 4; j++) holds &= out[j] == -5;
        check(holds, "activate %d of %lld, variant %d: out of its bound", kind, (long long)n, variant);
      }
  float values[] = {NAN, 1, -INFINITY, 1};
  kernels->activate((moe_expert_activation){MOE_SILU, INFINITY, 1}, values, (float[]){1, NAN, 1, 1}, 4, out);
  check(out[0] != out[0] && out[1] != out[1] && out[2] == 0 && out[3] == out[3], "activate: NaN and -inf of silu");
}

static void check_quantize(const moe_kernels *kernels, const moe_kernels *scalar) {
  seeded random = {37};
  for (int style = 0; style < 8; style++)
    for (int64_t n = 0; n <= 320; n += 32) {
      float *x = take_guarded(n * 4), scales[2][11];
      int8_t codes[2][330];
      for (int64_t i = 0; i < n; i++) {
        float v = next_float(&random);
        x[i] = style == 0   ? v
               : style == 1 ? 0
               : style == 2 ? (i % 64 < 32 ? 1e30f * v : 0x1p-130f * v)
               : style == 3 ? (i == 40 ? (float)NAN : v)
               : style == 4 ? (i == 30 ? -INFINITY : v)
               : style == 5 ? (float)(i % 255) - 127
               : style == 6 ? 0x1p-120f * v
                            : floorf(127 * v) + 0.5f;
      }
      memset(codes, 0x55, sizeof codes), memset(scales, 0x55, sizeof scales);
      scalar->quantize_int8(x, n, codes[0], scales[0]), kernels->quantize_int8(x, n, codes[1], scales[1]);
      check(!memcmp(codes[0], codes[1], sizeof codes[0]) && same_bits(scales[0], scales[1], 11),
            "quantize_int8 of %lld, style %d: other bits than the scalar table's", (long long)n, style);
      if (kernels == scalar) record_bytes(codes[0], n), record_floats(scales[0], n / 32);
      give_guarded(x, n * 4);
    }
}

/// Rows in any order, some twice; weights absent, the sum in place or from zero.
static void check_combine(const moe_kernels *kernels) {
  enum { LINES = 11, STRIDE = 421 };
  static float x[LINES * STRIDE], weights[LINES], before[STRIDE], y[STRIDE], expected[STRIDE];
  seeded random = {33};
  fill_floats(&random, x, LINES * STRIDE, 1), fill_floats(&random, weights, LINES, 1);
  for (int64_t n = 0; n < STRIDE - 1; n += n < 40 ? 1 : 29)
    for (int64_t k = 0; k <= 9; k++)
      for (int variant = 0; variant < 8; variant++) {
        bool is_listed = variant & 1, is_weighted = variant & 2, goes_on = variant & 4, holds = true;
        int64_t rows[9];
        fill_floats(&random, before, n, 1);
        for (int64_t i = 0; i < k; i++) rows[i] = is_listed ? next_below(&random, LINES) : i;
        for (int64_t j = 0; j < STRIDE; j++) y[j] = j < n ? goes_on ? before[j] : (float)NAN : -5;
        kernels->combine(x, STRIDE, is_listed ? rows : NULL, is_weighted ? weights : NULL, 0.7f, k, goes_on ? y : NULL, n, y);
        for (int64_t j = 0; j < n; j++) {
          double sum = goes_on ? (double)before[j] : 0, size = fabs(sum);
          for (int64_t i = 0; i < k; i++) {
            double product = (is_weighted ? (double)weights[rows[i]] : 1) * (double)0.7f * (double)x[rows[i] * STRIDE + j];
            sum += product, size += fabs(product);
          }
          holds &= fabs((double)y[j] - sum) <= (double)(k + 2) * 0x1p-24 * size;
          expected[j] = goes_on ? before[j] : 0;
        }
        check(holds, "combine of %lld rows of %lld, variant %d: out of its bound", (long long)k, (long long)n, variant);
        for (int64_t i = 0; i < k; i++)
          kernels->combine(x + rows[i] * STRIDE, 0, NULL, is_weighted ? weights + rows[i] : NULL, 0.7f, 1, expected, n, expected);
        check(same_bits(y, expected, n) && y[n] == -5, "combine of %lld rows of %lld, variant %d: other bits than row by row, or written outside",
              (long long)k, (long long)n, variant);
      }
}

/// Rows each to one of three sums, as `combine` sums them.
static void check_add_rows(const moe_kernels *kernels) {
  enum { LINES = 9, SUMS = 3, STRIDE = 421 };
  static float x[LINES * STRIDE], weights[LINES], y[SUMS * STRIDE], expected[SUMS * STRIDE];
  seeded random = {34};
  fill_floats(&random, x, LINES * STRIDE, 1), fill_floats(&random, weights, LINES, 1);
  for (int64_t n = 0; n < STRIDE - 1; n += n < 40 ? 1 : 29)
    for (int64_t m = 0; m <= LINES; m++)
      for (int is_weighted = 0; is_weighted < 2; is_weighted++) {
        int32_t rows[LINES];
        fill_floats(&random, y, SUMS * STRIDE, 1), memcpy(expected, y, sizeof y);
        for (int64_t i = 0; i < m; i++) {
          float *sum = expected + STRIDE * (rows[i] = (int32_t)next_below(&random, SUMS));
          kernels->combine(x + i * STRIDE, 0, NULL, is_weighted ? weights + i : NULL, 0.7f, 1, sum, n, sum);
        }
        kernels->add_rows(x, STRIDE, m, n, is_weighted ? weights : NULL, 0.7f, rows, y, STRIDE);
        check(same_bits(y, expected, SUMS * STRIDE), "add_rows of %lld rows of %lld: other bits than combine, or written outside", (long long)m,
              (long long)n);
      }
}

static void check_peaks(const moe_kernels *kernels) {
  float (*const peaks[])(int64_t, int64_t *) = {kernels->peak_multiply_add, kernels->peak_int8, kernels->peak_int8_wide, kernels->peak_bf16};
  for (int i = 0; i < 4 && peaks[i]; i++) {
    int64_t operations = 0;
    float v = peaks[i](100, &operations);
    check(fabsf(v) < INFINITY && operations >= 2 * 100 * 8, "peak %d: %lld operations, result %g", i, (long long)operations, (double)v);
  }
}

void check_slots(const moe_kernels *kernels, const moe_kernels *scalar) {
  check_logits(kernels, scalar);
  check_router(kernels, scalar);
  check_groups(kernels, scalar);
  check_activate(kernels);
  check_quantize(kernels, scalar);
  check_combine(kernels);
  check_add_rows(kernels);
  check_peaks(kernels);
}
