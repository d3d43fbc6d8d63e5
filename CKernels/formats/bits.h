// Unaligned loads and the conversions that several formats share.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define FORMAT static inline __attribute__((unused))
/// Before a loop over a block: keeps it a loop until it is vectorized; unrolled earlier it ends up in scalar pieces.
#define AS_VECTORS _Pragma("clang loop unroll(disable)")

/// Rows of a panel of codes, and the bytes of one line of f16 and of f32 scales in it: see panels.h.
enum { CODE_ROWS = 8, HALF_LINE = 2 * CODE_ROWS, FLOAT_LINE = 4 * CODE_ROWS };

/// A table whose text OpenCL C shares.
#define TABLE(type) __attribute__((unused)) static const type
#include "uneven_levels.h"

FORMAT uint16_t load_u16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
FORMAT uint32_t load_u32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
FORMAT void store_u16(void *p, uint16_t v) { memcpy(p, &v, 2); }
FORMAT void store_u32(void *p, uint32_t v) { memcpy(p, &v, 4); }
FORMAT float float_of_bits(uint32_t bits) { float v; memcpy(&v, &bits, 4); return v; }
FORMAT uint32_t bits_of_float(float v) { uint32_t bits; memcpy(&bits, &v, 4); return bits; }

#ifndef HAS_F16
/// Exact widening of IEEE half precision.
FORMAT float float_of_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  float v = (float)mantissa * 0x1p-24f;
  return float_of_bits(sign | bits_of_float(v));
}
#endif

/// Round to nearest even.
FORMAT uint16_t f16_of_float(float v) {
  uint32_t bits = bits_of_float(v), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return (uint16_t)(sign | 0x7e00);
  if (magnitude >= 0x477ff000) return (uint16_t)(sign | 0x7c00);
  if (magnitude < 0x38800000) {  // subnormal: adding 0.5 rounds the wanted bits to nearest even
    float shifted = float_of_bits(magnitude) + 0.5f;
    return (uint16_t)(sign | (bits_of_float(shifted) - 0x3f000000));
  }
  return (uint16_t)(sign | ((magnitude + 0xfff + (magnitude >> 13 & 1) - 0x38000000) >> 13));
}

/// Copies the f16 at `p` to a row of a line of scales.
FORMAT void put_half(uint8_t *line, int row, const uint8_t *p) { memcpy(line + 2 * row, p, 2); }

FORMAT float load_f16(const void *p) { return float_of_f16(load_u16(p)); }
FORMAT float load_bf16(const void *p) { return float_of_bits((uint32_t)load_u16(p) << 16); }

/// Round to nearest even; NaN stays NaN.
FORMAT uint16_t bf16_of_float(float v) {
  uint32_t bits = bits_of_float(v);
  if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// FP8 E4M3 without infinities: S.1111.111 is NaN.
FORMAT float float_of_e4m3(uint8_t code) {
  uint32_t magnitude = code & 0x7f;
  float normal = float_of_bits((magnitude << 20) + (120u << 23)), subnormal = (float)(int32_t)magnitude * 0x1p-9f;
  uint32_t bits = magnitude < 8 ? bits_of_float(subnormal) : magnitude == 0x7f ? 0x7fc00000 : bits_of_float(normal);
  return float_of_bits(bits | (uint32_t)(code & 0x80) << 24);
}

/// E8M0: a power of two from 2^-127 to 2^127; 255 is NaN.
FORMAT float float_of_e8m0(uint8_t code) {
  if (code == 255) return float_of_bits(0x7fc00000);
  return float_of_bits(code ? (uint32_t)code << 23 : 0x00400000);
}

/// Twice an FP4 E2M1 code's value: 0, 1, 2, 3, 4, 6, 8, 12 and, from code 8 on, their negatives.
FORMAT int twice_e2m1(uint8_t code) {
  int step = code & 7, v = step + (step > 4 ? step - 4 : 0) + (step > 6 ? 2 : 0);
  return code & 8 ? -v : v;
}

/// An FP4 E2M1 code, whose code 8 is -0.
FORMAT float float_of_e2m1(uint8_t code) {
  return float_of_bits(bits_of_float(0.5f * (float)twice_e2m1(code & 7)) | (uint32_t)(code & 8) << 28);
}

/// The nearest E2M1 code, ties to the even one; beyond 6 the largest, NaN is 0.
FORMAT uint8_t e2m1_of_float(float v) {
  float a = fabsf(v);
  int step = (a > 0.25f) + (a >= 0.75f) + (a > 1.25f) + (a >= 1.75f) + (a > 2.5f) + (a >= 3.5f) + (a > 5);
  return (uint8_t)(step | (bits_of_float(v) >> 31 && a >= 0 ? 8 : 0));
}

/// E8M0 halved, the scale of codes that hold twice their value: finite for every code.
FORMAT float half_of_e8m0(uint8_t code) { return float_of_bits(code < 2 ? 0x00200000u << code : (code - 1u) << 23); }

/// FP8 E4M3 without its sign, halved likewise: codes 0 ... 127, the last of which is 480; 255 is NaN.
FORMAT float half_of_ue4m3(uint8_t code) {
  float normal = float_of_bits(((uint32_t)code << 20) + (119u << 23)), subnormal = (float)(int32_t)code * 0x1p-10f;
  return code == 255 ? float_of_bits(0x7fc00000) : code < 8 ? subnormal : normal;
}

/// Truncates to 0 ... top; NaN is 0.
FORMAT int code_of_float(float v, int top) { return v > 0 ? v < (float)top ? (int)v : top : 0; }

/// 1 / d, or 0 when d is 0.
FORMAT float inverse_of(float d) { return d != 0 ? 1 / d : 0; }

/// The value of largest magnitude (the first of equal ones), NaN aside.
FORMAT float peak_of(const float *values, int count) {
  float peak = 0;
  for (int i = 0; i < count; i++) peak = fabsf(values[i]) > fabsf(peak) ? values[i] : peak;
  return peak;
}

/// The smallest value, NaN aside.
FORMAT float range_low(const float *values, int count) {
  float low = values[0];
  for (int i = 1; i < count; i++) low = fminf(low, values[i]);
  return low;
}

/// The largest value, NaN aside.
FORMAT float range_high(const float *values, int count) {
  float high = values[0];
  for (int i = 1; i < count; i++) high = fmaxf(high, values[i]);
  return high;
}

/// 0, 1 or 2 for -1, 0 or 1, the nearest; a half rounds away from zero.
FORMAT int ternary_of_float(float v) { return 1 + (v >= 0.5f) - (v <= -0.5f); }

/// Limits the magnitude; NaN is 0.
FORMAT float bounded(float v, float limit) { return v > limit ? limit : v < -limit ? -limit : v == v ? v : 0; }

FORMAT float sum_of_lanes(const float v[8]) { return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7])); }

/// Twice the sixteen E2M1 values, plus 12.
__attribute__((unused)) static const int8_t raised_e2m1_levels[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

#ifndef HAS_CODE_VECTORS
/// The 32 four-bit codes of 16 bytes: the low ones, then the high ones.
FORMAT void unpack_nibbles(const uint8_t *restrict p, uint8_t *restrict codes) {
  for (int i = 0; i < 16; i++) codes[i] = p[i] & 15, codes[16 + i] = p[i] >> 4;
}

/// `unpack_nibbles` with a fifth bit from `fifth`.
FORMAT void unpack_nibbles_and_bits(const uint8_t *restrict p, uint32_t fifth, uint8_t *restrict codes) {
  for (int i = 0; i < 16; i++) {
    codes[i] = (uint8_t)((p[i] & 15) | (fifth >> i & 1) << 4);
    codes[16 + i] = (uint8_t)(p[i] >> 4 | (fifth >> (16 + i) & 1) << 4);
  }
}
#endif

/// The 32 four-bit codes of 16 bytes, neighbours in one byte, the first low.
FORMAT void unpack_neighbours(const uint8_t *restrict p, uint8_t *restrict codes) {
  for (int i = 0; i < 16; i++) codes[2 * i] = p[i] & 15, codes[2 * i + 1] = p[i] >> 4;
}

/// 256 two-bit codes of 64 bytes: bits 2 k of byte 32 h + i are code 128 h + 32 k + i.
FORMAT void unpack_pairs(const uint8_t *restrict p, uint8_t *restrict codes) {
#pragma clang loop unroll(full)
  for (int k = 0; k < 8; k++)
    AS_VECTORS
    for (int i = 0; i < 32; i++) codes[32 * k + i] = p[32 * (k / 4) + i] >> 2 * (k % 4) & 3;
}
