// The kernel tables, best first.
#include "CMoEKernels.h"
#include "../gemm/scratch.h"

extern const moe_kernels moe_kernels_scalar;
#if defined(__x86_64__)
extern const moe_kernels moe_kernels_avx2, moe_kernels_avxvnni, moe_kernels_avx512, moe_kernels_avx512vnni, moe_kernels_avx512bf16,
    moe_kernels_amx;
#ifdef MOE_EMULATE_AMX
extern const moe_kernels moe_kernels_amx_emulated;
#endif
#elif defined(__aarch64__)
extern const moe_kernels moe_kernels_neon, moe_kernels_dotprod, moe_kernels_i8mm, moe_kernels_i8mmbf16;
#endif

static const moe_kernels *const tables[] = {
#if defined(__x86_64__)
    &moe_kernels_amx,
#ifdef MOE_EMULATE_AMX
    &moe_kernels_amx_emulated,
#endif
    &moe_kernels_avx512bf16, &moe_kernels_avx512vnni, &moe_kernels_avxvnni, &moe_kernels_avx512, &moe_kernels_avx2,
#elif defined(__aarch64__)
    &moe_kernels_i8mmbf16, &moe_kernels_i8mm, &moe_kernels_dotprod, &moe_kernels_neon,
#endif
    &moe_kernels_scalar,
};

int32_t moe_kernels_count(void) { return sizeof tables / sizeof *tables; }
const moe_kernels *moe_kernels_at(int32_t index) { return tables[index]; }
int64_t moe_gemm_scratch(void) { return GEMM_SCRATCH; }
