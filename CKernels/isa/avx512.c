// AVX-512 F, BW, VL and DQ: products summed in 16 bits.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ISA avx512
#define BODY static inline __attribute__((always_inline))

static bool supported(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq"))), apply_to = function)
#include "avx512.h"

BODY words dot(words sum, bytes codes, bytes x) {
  words products = _mm512_add_epi16(sum, _mm512_maddubs_epi16(codes, x));
  hide(&products);
  return products;
}
/// x with the signs of the codes.
BODY bytes signed_as(bytes x, bytes codes) { return _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(codes), _mm512_setzero_si512(), x); }
BODY words signed_dot(words sum, bytes codes, bytes x) { return dot(sum, _mm512_abs_epi8(codes), signed_as(x, codes)); }
BODY ints sum_words(words a) { return _mm512_madd_epi16(a, _mm512_set1_epi16(1)); }

#include "../kernels.h"

#pragma clang attribute pop
#endif
