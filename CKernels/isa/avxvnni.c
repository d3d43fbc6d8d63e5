// AVX2 with AVX-VNNI: four products a lane summed in 32 bits at once, on CPUs without AVX-512.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ISA avxvnni
#define INT8_TOKENS 3
#define INT8_VECS 2
#define FLOAT_TABLE moe_kernels_avx2
extern const moe_kernels FLOAT_TABLE;
#define BODY static inline __attribute__((always_inline))

/// The operating system keeps the registers if it does for AVX2. The compiler's own test does not know AVX-VNNI everywhere.
static bool supported(void) {
  unsigned eax = 0, ebx, ecx, edx;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
         __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && eax >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax >> 4 & 1);
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "avx2.h"

#define WORDS_ARE_INTS
#define UNSIGNED_CODES
BODY words dot(words sum, bytes codes, bytes x) { return _mm256_dpbusd_avx_epi32(sum, codes, x); }
BODY ints sum_words(words a) { return a; }

#include "../kernels.h"

#pragma clang attribute pop
#endif
