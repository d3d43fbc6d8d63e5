// The vocabulary of the AVX2 tables: eight rows in one register. The file that includes it says how products are summed.
#pragma once
#include "x86.h"

enum { VEC_ROWS = 8 };
typedef __m256 vec;
typedef __m256i bytes;
typedef __m256i words;
typedef __m256i ints;

BODY vec load_vec(const float *p) { return load_eight(p); }
BODY vec load_half_vec(const uint8_t *p, int64_t panel) { return load_half_eight(p); }
BODY vec load_float_vec(const uint8_t *p, int64_t panel) { return load_eight((const float *)p); }
BODY vec load_bfloat_vec(const uint8_t *p) { return load_bfloat_eight(p); }
BODY vec load_unsigned_vec(const uint8_t *p, int64_t panel) {
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
BODY vec load_signed_vec(const uint8_t *p, int64_t panel) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}
BODY vec load_nibble_vec(const uint8_t *p, int64_t panel, int shift) {
  __m256i v = _mm256_srli_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), shift);
  return _mm256_cvtepi32_ps(_mm256_and_si256(v, _mm256_set1_epi32(15)));
}

BODY vec load_half_exponents(const uint8_t *p, int64_t panel, bool ends_in_nan) {
  __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), one = _mm256_set1_epi32(1);
  __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e), normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
  vec v = _mm256_castsi256_ps(_mm256_blendv_epi8(small, normal, _mm256_cmpgt_epi32(e, one)));
  return ends_in_nan ? _mm256_blendv_ps(v, _mm256_set1_ps(NAN), _mm256_castsi256_ps(_mm256_cmpeq_epi32(e, _mm256_set1_epi32(255)))) : v;
}

/// As half precision, the bits of E4M3 stand for 2^-8 of their value.
/// An exponent of E4M3 stands for 2^8 times what it does in a half.
BODY vec load_half_ue4m3(const uint8_t *p, int64_t panel, float factor) {
  __m128i v = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)p));
  __m128i halves = _mm_or_si128(_mm_cmpeq_epi16(v, _mm_set1_epi16(255)), _mm_slli_epi16(v, 7));
  return _mm256_mul_ps(_mm256_cvtph_ps(halves), _mm256_set1_ps(0x1p7f * factor));
}

BODY void store_vec(float *p, vec v) { _mm256_storeu_ps(p, v); }
BODY vec splat(float x) { return _mm256_set1_ps(x); }
BODY vec add_vec(vec a, vec b) { return _mm256_add_ps(a, b); }
BODY vec multiply(vec a, vec b) { return _mm256_mul_ps(a, b); }
BODY vec multiply_add(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
BODY vec fused_multiply_add(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }

BODY bytes load_all(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
BODY bytes load_bytes(const uint8_t *p, int64_t panel) { return load_all(p); }
BODY void store_bytes(uint8_t *p, bytes v) { _mm256_storeu_si256((__m256i *)p, v); }
BODY void hide(bytes *v) { __asm__("" : "+x"(*v)); }
BODY bytes take_bits(bytes v, int shift, uint8_t mask) {
  bytes moved = shift < 0 ? _mm256_slli_epi16(v, -shift) : _mm256_srli_epi16(v, shift);
  return _mm256_and_si256(moved, _mm256_set1_epi8((char)mask));
}
BODY bytes or_bytes(bytes a, bytes b) { return _mm256_or_si256(a, b); }
BODY bytes subtract_bytes(bytes a, bytes b) { return _mm256_sub_epi8(a, b); }
BODY bytes flip_signs(bytes v) { return _mm256_xor_si256(v, _mm256_set1_epi8((char)0x80)); }
BODY bytes lookup(const int8_t levels[16], bytes codes) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)levels)), codes);
}
BODY bytes splat_byte(int x) { return _mm256_set1_epi8((char)x); }
BODY bytes splat_quad(const uint8_t *p) {
  int32_t quad;
  memcpy(&quad, p, 4);
  return _mm256_set1_epi32(quad);
}

BODY words no_words(void) { return _mm256_setzero_si256(); }
/// Hidden, so that chains of sums stay chains: trees of them need more registers than there are.
BODY ints add_ints(ints a, ints b) {
  ints sum = _mm256_add_epi32(a, b);
  hide(&sum);
  return sum;
}
BODY ints splat_int(int32_t x) { return _mm256_set1_epi32(x); }
BODY vec floats_of(ints a) { return _mm256_cvtepi32_ps(a); }
BODY vec column_of(bytes quad, int c) {
  const __m128i at = _mm_add_epi32(_mm_setr_epi32(0x00808080, 0x04808080, 0x08808080, 0x0c808080), _mm_set1_epi32(c << 24));
  if (c == 0) return floats_of(_mm256_slli_epi32(quad, 24));
  if (c == 3) return floats_of(_mm256_and_si256(quad, _mm256_set1_epi32((int32_t)0xff000000)));
  return floats_of(_mm256_shuffle_epi8(quad, _mm256_broadcastsi128_si256(at)));
}
BODY vec float_column_of(bytes quad, int c, int shift, uint32_t mask) {
  __m256i moved = _mm256_srai_epi32(_mm256_slli_epi32(quad, 24 - 8 * c), shift);
  return _mm256_castsi256_ps(_mm256_and_si256(moved, _mm256_set1_epi32((int32_t)mask)));
}
