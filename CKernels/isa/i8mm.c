// AArch64 with int8 matrix products: two rows meet two tokens, eight columns deep, in one instruction.
#include "CMoEKernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "arm_features.h"

#define ISA i8mm
#define INT8_TOKENS 6
#define FLOAT_TABLE moe_kernels_neon
extern const moe_kernels FLOAT_TABLE;
#define BODY static inline __attribute__((always_inline))

static bool supported(void) { return has_dotprod() && has_i8mm(); }

#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#include "i8mm.h"
#include "../kernels.h"

#pragma clang attribute pop
#endif
