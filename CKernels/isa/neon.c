// NEON, which every AArch64 has: products summed in 16 bits, each column of a quad in a lane of its own.
#include "CMoEKernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#define ISA neon
#define PEAK_CHAINS 6
#define BODY static inline __attribute__((always_inline))

static bool supported(void) { return true; }

#include "arm.h"

/// Products of rows 2 i and 2 i + 1.
typedef struct { int16x8_t of_rows[4]; } words;

BODY words no_words(void) { return (words){{vdupq_n_s16(0), vdupq_n_s16(0), vdupq_n_s16(0), vdupq_n_s16(0)}}; }
BODY words signed_dot(words sum, bytes codes, bytes x) {
  int8x16_t a = vreinterpretq_s8_u8(codes.low), b = vreinterpretq_s8_u8(codes.high), v = vreinterpretq_s8_u8(x.low);
  return (words){{vmlal_s8(sum.of_rows[0], vget_low_s8(a), vget_low_s8(v)), vmlal_high_s8(sum.of_rows[1], a, v),
                  vmlal_s8(sum.of_rows[2], vget_low_s8(b), vget_low_s8(v)), vmlal_high_s8(sum.of_rows[3], b, v)}};
}
/// Unsigned codes are below 128.
BODY words dot(words sum, bytes codes, bytes x) { return signed_dot(sum, codes, x); }
BODY ints sum_words(words a) {
  return (ints){vpaddlq_s16(vpaddq_s16(a.of_rows[0], a.of_rows[1])), vpaddlq_s16(vpaddq_s16(a.of_rows[2], a.of_rows[3]))};
}

#include "../kernels.h"
#endif
