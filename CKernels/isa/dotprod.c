// AArch64 with dot products: four products a lane summed in 32 bits at once.
#include "CMoEKernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "arm_features.h"

#define ISA dotprod
#define INT8_TOKENS 6
#define FLOAT_TABLE moe_kernels_neon
extern const moe_kernels FLOAT_TABLE;
#define BODY static inline __attribute__((always_inline))

static bool supported(void) { return has_dotprod(); }

#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#include "arm.h"

#define WORDS_ARE_INTS
typedef ints words;

BODY words no_words(void) { return splat_int(0); }
BODY words signed_dot(words sum, bytes codes, bytes x) {
  return (words){vdotq_s32(sum.low, vreinterpretq_s8_u8(codes.low), vreinterpretq_s8_u8(x.low)),
                 vdotq_s32(sum.high, vreinterpretq_s8_u8(codes.high), vreinterpretq_s8_u8(x.high))};
}
/// Unsigned codes are below 128.
BODY words dot(words sum, bytes codes, bytes x) { return signed_dot(sum, codes, x); }
BODY ints sum_words(words a) { return a; }

#include "../kernels.h"

#pragma clang attribute pop
#endif
