// AArch64 with int8 and bf16 matrix products: of bf16, two rows meet two tokens, four columns deep, in one instruction.
#include "CMoEKernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#include <math.h>
#include <string.h>

#include "arm_features.h"

#define ISA i8mmbf16
#define INT8_TOKENS 6
#define BF16_TOKENS 4
#define FLOAT_TABLE moe_kernels_neon
extern const moe_kernels FLOAT_TABLE;
#define INT8_TABLE moe_kernels_i8mm
extern const moe_kernels INT8_TABLE;
#define BODY static inline __attribute__((always_inline))

static bool supported(void) { return has_dotprod() && has_i8mm() && has_bf16(); }

#pragma clang attribute push(__attribute__((target("dotprod,i8mm,bf16"))), apply_to = function)
#include "i8mm.h"

#define MULTIPLIES_BF16
/// Row 2 i with the first and the second token, row 2 i + 1 likewise.
typedef struct { float32x4_t of_rows[4]; } float_squares;

BODY bytes load_pairs(const uint8_t *p) {
  uint16x8_t a = vreinterpretq_u16_u8(vld1q_u8(p)), b = vreinterpretq_u16_u8(vld1q_u8(p + 32));
  return (bytes){vreinterpretq_u8_u16(vzip1q_u16(a, b)), vreinterpretq_u8_u16(vzip2q_u16(a, b))};
}
BODY float_squares no_float_squares(void) { return (float_squares){{vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0)}}; }
BODY float_squares multiply_bf16_octets(float_squares sum, octets w, bytes x) {
  for (int i = 0; i < 4; i++) sum.of_rows[i] = vbfmmlaq_f32(sum.of_rows[i], vreinterpretq_bf16_u8(w.of_rows[i]), vreinterpretq_bf16_u8(x.low));
  return sum;
}
BODY vec floats_of_token(float_squares a, int token) {
  return token ? (vec){vuzp2q_f32(a.of_rows[0], a.of_rows[1]), vuzp2q_f32(a.of_rows[2], a.of_rows[3])}
               : (vec){vuzp1q_f32(a.of_rows[0], a.of_rows[1]), vuzp1q_f32(a.of_rows[2], a.of_rows[3])};
}

#include "../kernels.h"

#pragma clang attribute pop
#endif
