// The arithmetic peak of an ISA: independent chains of multiply-adds that never leave the registers.
//
// PEAK_CHAINS sums of 16 lanes have to fit the registers beside two constants and cover the latency of a multiply-add; an
// ISA file whose registers hold another number defines it.
#pragma once
#ifndef PEAK_CHAINS
#define PEAK_CHAINS 5
#endif

/// x <- x / 2 + 1 on every lane of every chain: the product depends on the sum before, so that neither can be taken out of the loop.
static float peak_multiply_add(int64_t steps, int64_t *flops) {
  float half[16], one[16], total = 0;
  for (int j = 0; j < 16; j++) half[j] = steps > 0 ? 0.5f : 0.25f, one[j] = steps > 0 ? 1.0f : 2.0f;
  lanes factor = load_lanes(half), term = load_lanes(one), x[PEAK_CHAINS];
  for (int q = 0; q < PEAK_CHAINS; q++) x[q] = term;
  for (int64_t i = 0; i < steps; i++) {
#pragma clang loop unroll(full)
    for (int q = 0; q < PEAK_CHAINS; q++) x[q] = multiply_add(term, x[q], factor);
  }
  for (int q = 0; q < PEAK_CHAINS; q++) total += sum_lanes(x[q]);
  *flops = 2 * 16 * PEAK_CHAINS * steps;
  return total;
}
