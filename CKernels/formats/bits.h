// Unaligned loads and the conversions that several formats share.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#define FORMAT static inline __attribute__((unused))

FORMAT uint16_t load_u16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
FORMAT uint32_t load_u32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
FORMAT void store_u16(void *p, uint16_t v) { memcpy(p, &v, 2); }
FORMAT float float_of_bits(uint32_t bits) { float v; memcpy(&v, &bits, 4); return v; }
FORMAT uint32_t bits_of_float(float v) { uint32_t bits; memcpy(&bits, &v, 4); return bits; }

/// Exact widening of IEEE half precision.
FORMAT float float_of_f16(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, mantissa = h & 1023;
  if (exponent == 31) return float_of_bits(sign | 0x7f800000 | mantissa << 13);
  if (exponent) return float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  float v = (float)mantissa * 0x1p-24f;
  return float_of_bits(sign | bits_of_float(v));
}

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
  uint32_t sign = (uint32_t)(code & 0x80) << 24, exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 15 && mantissa == 7) return float_of_bits(sign | 0x7fc00000);
  if (exponent) return float_of_bits(sign | (exponent + 120) << 23 | mantissa << 20);
  return float_of_bits(sign | bits_of_float((float)mantissa * 0x1p-9f));
}

/// E8M0: a power of two from 2^-127 to 2^127; 255 is NaN.
FORMAT float float_of_e8m0(uint8_t code) {
  if (code == 255) return float_of_bits(0x7fc00000);
  return float_of_bits(code ? (uint32_t)code << 23 : 0x00400000);
}
