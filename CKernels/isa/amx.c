// AMX: int8 and bf16 products by tiles of 16 tokens and 16 rows; everything else, and few int8 tokens, as AVX-512 with VNNI.
//
// With MOE_EMULATE_AMX the same table on emulated tiles, for the test driver on CPUs without AMX.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <math.h>
#include <string.h>

#ifdef MOE_EMULATE_AMX
#define ISA amx_emulated
#else
#define ISA amx
#endif
#define FLOAT_TABLE moe_kernels_avx512
extern const moe_kernels FLOAT_TABLE;
#define BODY static inline __attribute__((always_inline))

#ifdef MOE_EMULATE_AMX
static bool may_use_tiles(void) { return true; }
#else
/// Asks CPU and operating system. Linux wants the process to ask for the registers before it uses them; the answer holds for all its threads
/// and children, asking again changes nothing, and a process whose alternate signal stacks are too small for the registers is refused.
static bool may_use_tiles(void) {
  unsigned eax = 0, ebx, ecx, edx = 0, low, high;
  const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, state = 3u << 17;
  if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx & (bf16 | tile | int8)) != (bf16 | tile | int8)) return false;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  if ((low & state) != state) return false;
#if defined(__linux__) && defined(__LP64__)
  // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA), without the C library's errno.
  long result = 158;
  __asm__ volatile("syscall" : "+a"(result) : "D"(0x1023L), "S"(18L) : "rcx", "r11", "memory");
  return result == 0;
#else
  return false;
#endif
}
#endif

/// That AVX-512 is usable says that `xgetbv` is.
static bool supported(void) {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
         __builtin_cpu_supports("f16c") && __builtin_cpu_supports("avx512vnni") && may_use_tiles();
}

#ifdef MOE_EMULATE_AMX
#define TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"
#else
#define TARGET "avx2,fma,f16c,avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,amx-tile,amx-int8,amx-bf16"
#endif
#pragma clang attribute push(__attribute__((target(TARGET))), apply_to = function)

/// A tile costs the same for one token as for sixteen; up to here (an estimate: not measured) lanes are faster.
#define FEW_ROWS 8
#define FEW_ROWS_TABLE moe_kernels_avx512vnni
#include "avx512vnni.h"
#define MULTIPLIES_TILES
#include "tiles.h"

#include "../kernels.h"

#pragma clang attribute pop
#endif
