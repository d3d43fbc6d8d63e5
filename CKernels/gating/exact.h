// exp and log1p in double from basic operations alone, so that every ISA and every C library gives the same bits.
#pragma once

/// Within 1 ulp of e^x.
static double exp_exact(double x) {
#pragma clang fp contract(off)
  if (x != x) return x;
  if (x > 709.7) return (double)INFINITY;
  if (x < -745.2) return 0;
  double n = floor(x * 1.4426950408889634 + 0.5);
  double r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10, p = 1;
  for (int i = 13; i > 0; i--) p = p * r / i + 1;
  int64_t low = (int64_t)n / 2, high = (int64_t)n - low;
  uint64_t a = (uint64_t)(low + 1023) << 52, b = (uint64_t)(high + 1023) << 52;
  double s, t;
  memcpy(&s, &a, 8), memcpy(&t, &b, 8);
  return p * s * t;
}

/// log(1 + u) for u in [0, 1]: 2 atanh(u / (2 + u)).
static double log1p_exact(double u) {
#pragma clang fp contract(off)
  double s = u / (2 + u), square = s * s, sum = 0;
  for (int i = 37; i > 0; i -= 2) sum = sum * square + 1.0 / i;
  return 2 * s * sum;
}
