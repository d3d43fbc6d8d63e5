// AVX-512 with VNNI: four products a lane summed in 32 bits at once.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ISA avx512vnni
#define FLOAT_TABLE moe_kernels_avx512
extern const moe_kernels FLOAT_TABLE;
#define BODY static inline __attribute__((always_inline))

static bool supported(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c") &&
         __builtin_cpu_supports("avx512vnni");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"))), apply_to = function)
#include "avx512vnni.h"
#include "../kernels.h"

#pragma clang attribute pop
#endif
