// exp, log1p and the scores made of them in double from basic operations alone, so that every ISA, C library and device gives the same bits.
//
// Read by C and by OpenCL C; BODY, `doubles`, `longs`, their bits and `root` are defined before.

/// Largest integers not above v, for |v| < 2^51: 1.5 * 2^52 pushes the fraction out.
BODY doubles floor_exact(doubles v) {
#pragma clang fp contract(off)
  doubles nearest = (v + 0x1.8p52) - 0x1.8p52;
  return nearest > v ? nearest - 1 : nearest;
}

/// 2^n for integers n in [-1022, 1023]: n + 1023 lands in the last bits of the sum and moves up to the exponent.
BODY doubles power_of_two(doubles n) {
  return doubles_of(bits_of(n + (0x1p52 + 1023)) << 52);
}

/// Within 1 ulp of e^x; 2^n is applied in two halves, so that results below the normal range are rounded once.
BODY doubles exp_exact(doubles x) {
#pragma clang fp contract(off)
  doubles n = floor_exact(x * 1.4426950408889634 + 0.5);
  doubles r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
  double factorial = 6227020800;
  doubles p = 1 / factorial;
  _Pragma("clang loop unroll(full)") for (int i = 13; i > 0; i--) factorial /= i, p = p * r + 1 / factorial;
  doubles low = floor_exact(n * 0.5), e = p * power_of_two(low) * power_of_two(n - low);
  e = x > 709.7 ? (doubles)(double)INFINITY : e;
  e = x < -745.2 ? (doubles)0.0 : e;
  return x == x ? e : x;
}

/// log(1 + u) for u in [0, 1]: 2 atanh(u / (2 + u)).
BODY doubles log1p_exact(doubles u) {
#pragma clang fp contract(off)
  doubles s = u / (2 + u), square = s * s, sum = 0;
  _Pragma("clang loop unroll(full)") for (int i = 37; i > 0; i -= 2) sum = sum * square + 1.0 / i;
  return 2 * s * sum;
}

BODY doubles sigmoid_exact(doubles z) {
#pragma clang fp contract(off)
  doubles e = exp_exact(z < 0 ? z : -z);
  return (z < 0 ? e : (doubles)1.0) / (1 + e);
}

BODY doubles sqrtsoftplus_exact(doubles z) {
#pragma clang fp contract(off)
  return root(log1p_exact(exp_exact(z < 0 ? z : -z)) + (z > 0 ? z : (doubles)0.0));
}
