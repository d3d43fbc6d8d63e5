// The arithmetic peaks of an ISA: independent chains of products and sums that never leave the registers.
//
// PEAK_CHAINS sums of VEC_ROWS lanes have to fit the registers beside three constants and cover the latency of a multiply-add; an
// ISA file whose registers hold another number defines it.
#pragma once
#ifndef PEAK_CHAINS
#define PEAK_CHAINS 10
#endif

/// x <- x / 2 + 1 on every lane of every chain: the product depends on the sum before, so that it cannot be taken out of the loop.
static float peak_multiply_add(int64_t steps, int64_t *operations) {
  vec half = splat(steps > 0 ? 0.5f : 0.25f), one = splat(steps > 0 ? 1.0f : 2.0f), x[PEAK_CHAINS];
  for (int q = 0; q < PEAK_CHAINS; q++) x[q] = one;
  for (int64_t i = 0; i < steps; i++)
    UNROLLED for (int q = 0; q < PEAK_CHAINS; q++) x[q] = multiply_add(x[q], half, one);
  for (int q = 1; q < PEAK_CHAINS; q++) x[0] = add_vec(x[0], x[q]);
  *operations = 2 * VEC_ROWS * PEAK_CHAINS * steps;
  float lanes[VEC_ROWS];
  store_vec(lanes, x[0]);
  return lanes[0] + lanes[VEC_ROWS - 1];
}

#ifndef MULTIPLIES_TILES
/// Pairs of products summed in 16 bits. The codes pass `hide` before each product: it might be another value for all the compiler knows.
static float peak_int8(int64_t steps, int64_t *operations) {
  uint8_t quad[4] = {1, 1, 1, 1};
  bytes x = splat_quad(quad), codes = x;
  words sums[PEAK_CHAINS];
  for (int q = 0; q < PEAK_CHAINS; q++) sums[q] = dot(no_words(), codes, x);
  for (int64_t i = 0; i < steps; i++)
    UNROLLED for (int q = 0; q < PEAK_CHAINS; q++) hide(&codes), sums[q] = dot(sums[q], codes, x);
  ints total = sum_words(sums[0]);
  for (int q = 1; q < PEAK_CHAINS; q++) total = add_ints(total, sum_words(sums[q]));
  *operations = 2 * 4 * VEC_ROWS * PEAK_CHAINS * steps;
  float lanes[VEC_ROWS];
  store_vec(lanes, floats_of(total));
  return lanes[0] + lanes[VEC_ROWS - 1];
}

/// Pairs of products, each widened and summed in 32 bits.
static float peak_int8_wide(int64_t steps, int64_t *operations) {
  uint8_t quad[4] = {1, 1, 1, 1};
  bytes x = splat_quad(quad), codes = x;
  ints sums[PEAK_CHAINS];
  for (int q = 0; q < PEAK_CHAINS; q++) sums[q] = sum_words(dot(no_words(), codes, x));
  for (int64_t i = 0; i < steps; i++)
    UNROLLED for (int q = 0; q < PEAK_CHAINS; q++) hide(&codes), sums[q] = add_ints(sums[q], sum_words(dot(no_words(), codes, x)));
  for (int q = 1; q < PEAK_CHAINS; q++) sums[0] = add_ints(sums[0], sums[q]);
  *operations = 2 * 4 * VEC_ROWS * PEAK_CHAINS * steps;
  float lanes[VEC_ROWS];
  store_vec(lanes, floats_of(sums[0]));
  return lanes[0] + lanes[VEC_ROWS - 1];
}
#endif

#ifdef MULTIPLIES_BF16
/// Products of bf16 pairs, summed in f32.
static float peak_bf16(int64_t steps, int64_t *operations) {
  enum { CHAINS = PEAK_CHAINS / DOT_TOKENS };
  uint8_t values[2 * DOT_COLUMNS * PANEL];
  memset(values, 0x3f, sizeof values);
  dot_weights weights = load_dot_weights((bf16_run){values, 0, false}, 0);
  dot_sums sums[CHAINS];
  for (int q = 0; q < CHAINS; q++) sums[q] = no_sums();
  for (int64_t i = 0; i < steps; i++)
    UNROLLED for (int q = 0; q < CHAINS; q++) sums[q] = add_products(sums[q], weights, values, 0, 1);
  vec total = sum_of_token(sums[0], 0);
  for (int q = 1; q < CHAINS; q++) total = add_vec(total, sum_of_token(sums[q], 0));
  *operations = 2 * DOT_TOKENS * DOT_COLUMNS * VEC_ROWS * CHAINS * steps;
  float lanes[VEC_ROWS];
  store_vec(lanes, total);
  return lanes[0] + lanes[VEC_ROWS - 1];
}
#endif
