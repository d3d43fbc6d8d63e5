// AVX-512 with VNNI and BF16: two bf16 products a lane summed in f32 at once.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ISA avx512bf16
#define FLOAT_TABLE moe_kernels_avx512
extern const moe_kernels FLOAT_TABLE;
#define INT8_TABLE moe_kernels_avx512vnni
extern const moe_kernels INT8_TABLE;
#define BODY static inline __attribute__((always_inline))

static bool supported(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}

#define TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16"
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)
#include "avx512vnni.h"

#define MULTIPLIES_BF16
BODY bytes load_pairs(const uint8_t *p) {
  const bytes order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2,
                                       17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, load_all(p));
}
BODY vec dot_pairs(vec sum, bytes w, bytes x) { return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x); }

#include "../kernels.h"

#pragma clang attribute pop
#endif
