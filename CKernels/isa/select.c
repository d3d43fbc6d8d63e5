// The kernel tables, best first.
#include "CMoEKernels.h"

extern const moe_kernels moe_kernels_scalar;

static const moe_kernels *const tables[] = {&moe_kernels_scalar};

int32_t moe_kernels_count(void) { return sizeof tables / sizeof *tables; }
const moe_kernels *moe_kernels_at(int32_t index) { return tables[index]; }
int64_t moe_gemm_scratch(int64_t columns) { return 4 * ((columns + 15) / 16 * 16); }
