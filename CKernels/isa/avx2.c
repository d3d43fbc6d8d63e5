// AVX2 with FMA and F16C: products summed in 16 bits.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ISA avx2
#define INT8_TOKENS 6
#define BODY static inline __attribute__((always_inline))

static bool supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#include "avx2.h"

BODY words dot(words sum, bytes codes, bytes x) {
  words products = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
  hide(&products);
  return products;
}
BODY words signed_dot(words sum, bytes codes, bytes x) { return dot(sum, _mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes)); }
BODY ints sum_words(words a) { return _mm256_madd_epi16(a, _mm256_set1_epi16(1)); }

#include "../kernels.h"

#pragma clang attribute pop
#endif
