// Sums of products in the AArch64 tables with int8 matrix products: two rows and two tokens, eight columns deep, at once.
#pragma once
#include "arm.h"

#define WORDS_ARE_INTS
typedef ints words;

BODY words no_words(void) { return splat_int(0); }
BODY words dot(words sum, bytes codes, bytes x) {
  return (words){vusdotq_s32(sum.low, codes.low, vreinterpretq_s8_u8(x.low)), vusdotq_s32(sum.high, codes.high, vreinterpretq_s8_u8(x.high))};
}
BODY words signed_dot(words sum, bytes codes, bytes x) {
  return (words){vdotq_s32(sum.low, vreinterpretq_s8_u8(codes.low), vreinterpretq_s8_u8(x.low)),
                 vdotq_s32(sum.high, vreinterpretq_s8_u8(codes.high), vreinterpretq_s8_u8(x.high))};
}
BODY ints sum_words(words a) { return a; }

#define MULTIPLIES_PAIRS
/// Rows 2 i and 2 i + 1, the second behind the first.
typedef struct { uint8x16_t of_rows[4]; } octets;
/// Row 2 i with the first and the second token, row 2 i + 1 likewise.
typedef struct { int32x4_t of_rows[4]; } squares;

BODY octets side_by_side(bytes first, bytes second) {
  uint32x4_t a = vreinterpretq_u32_u8(first.low), b = vreinterpretq_u32_u8(second.low);
  uint32x4_t c = vreinterpretq_u32_u8(first.high), d = vreinterpretq_u32_u8(second.high);
  return (octets){{vreinterpretq_u8_u32(vzip1q_u32(a, b)), vreinterpretq_u8_u32(vzip2q_u32(a, b)),
                   vreinterpretq_u8_u32(vzip1q_u32(c, d)), vreinterpretq_u8_u32(vzip2q_u32(c, d))}};
}
/// Two quads of one token, `next` bytes apart.
BODY uint8x8_t load_octet(const uint8_t *p, int64_t next) {
  uint32_t quads[2];
  memcpy(quads, p, 4), memcpy(quads + 1, p + next, 4);
  return vreinterpret_u8_u32(vld1_u32(quads));
}
BODY bytes load_two(const uint8_t *first, const uint8_t *second, int64_t next) {
  uint8x16_t v = vcombine_u8(load_octet(first, next), load_octet(second, next));
  return (bytes){v, v};
}
BODY squares no_squares(void) { return (squares){{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}}; }
BODY squares multiply_octets(squares sum, octets codes, bytes x) {
  for (int i = 0; i < 4; i++) sum.of_rows[i] = vusmmlaq_s32(sum.of_rows[i], codes.of_rows[i], vreinterpretq_s8_u8(x.low));
  return sum;
}
BODY squares signed_multiply_octets(squares sum, octets codes, bytes x) {
  for (int i = 0; i < 4; i++) sum.of_rows[i] = vmmlaq_s32(sum.of_rows[i], vreinterpretq_s8_u8(codes.of_rows[i]), vreinterpretq_s8_u8(x.low));
  return sum;
}
BODY ints of_token(squares a, int token) {
  return token ? (ints){vuzp2q_s32(a.of_rows[0], a.of_rows[1]), vuzp2q_s32(a.of_rows[2], a.of_rows[3])}
               : (ints){vuzp1q_s32(a.of_rows[0], a.of_rows[1]), vuzp1q_s32(a.of_rows[2], a.of_rows[3])};
}
