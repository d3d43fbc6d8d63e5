// The vocabulary of the AVX-512 tables: sixteen rows, two panels, in one register. The file that includes it says how products are summed.
#pragma once
#include "x86.h"

enum { VEC_ROWS = 16 };
#define INT8_TOKENS 6
#define INT8_VECS 2
#define LOGIT_EXPERTS 4
#define LOGIT_TOKENS 6
#define FLOAT_TOKENS 8
#define FLOAT_VECS 2
#define FLOAT_NARROW MOE_GEMM_ROWS
#define PEAK_CHAINS 16
/// One or two rows are as fast as memory only when it is read as one stream: one panel at a time, which is AVX2's.
#ifndef FEW_ROWS
#define FEW_ROWS 2
#define FEW_ROWS_TABLE moe_kernels_avx2
#endif
extern const moe_kernels FEW_ROWS_TABLE;

typedef __m512 vec;
typedef __m512i bytes;
typedef __m512i words;
typedef __m512i ints;

/// Eight bytes of each of two panels.
BODY __m128i load_pair(const uint8_t *p, int64_t panel) {
  return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)p), _mm_loadl_epi64((const __m128i *)(p + panel)));
}

BODY vec load_vec(const float *p) { return _mm512_loadu_ps(p); }
BODY vec load_half_vec(const uint8_t *p, int64_t panel) {
  __m128i low = _mm_loadu_si128((const __m128i *)p), high = _mm_loadu_si128((const __m128i *)(p + panel));
  return _mm512_cvtph_ps(_mm256_set_m128i(high, low));
}
BODY vec load_float_vec(const uint8_t *p, int64_t panel) {
  __m256 low = _mm256_loadu_ps((const float *)p), high = _mm256_loadu_ps((const float *)(p + panel));
  return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
}
BODY vec load_bfloat_vec(const uint8_t *p) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p)), 16));
}
BODY vec load_unsigned_vec(const uint8_t *p, int64_t panel) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_pair(p, panel))); }
BODY vec load_signed_vec(const uint8_t *p, int64_t panel) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_pair(p, panel))); }
BODY vec load_nibble_vec(const uint8_t *p, int64_t panel, int shift) {
  __m512i v = _mm512_srli_epi32(_mm512_cvtepu8_epi32(load_pair(p, panel)), (unsigned)shift);
  return _mm512_cvtepi32_ps(_mm512_and_si512(v, _mm512_set1_epi32(15)));
}

BODY vec load_half_exponents(const uint8_t *p, int64_t panel, bool ends_in_nan) {
  __m512i e = _mm512_cvtepu8_epi32(load_pair(p, panel)), one = _mm512_set1_epi32(1);
  __m512i small = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e), normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23);
  __m512i v = _mm512_mask_mov_epi32(small, _mm512_cmpgt_epi32_mask(e, one), normal);
  if (ends_in_nan) v = _mm512_mask_set1_epi32(v, _mm512_cmpeq_epi32_mask(e, _mm512_set1_epi32(255)), 0x7fc00000);
  return _mm512_castsi512_ps(v);
}

/// As half precision, the bits of E4M3 stand for 2^-8 of their value.
/// An exponent of E4M3 stands for 2^8 times what it does in a half.
BODY vec load_half_ue4m3(const uint8_t *p, int64_t panel, float factor) {
  __m256i v = _mm256_cvtepu8_epi16(load_pair(p, panel));
  __m256i halves = _mm256_or_si256(_mm256_cmpeq_epi16(v, _mm256_set1_epi16(255)), _mm256_slli_epi16(v, 7));
  return _mm512_mul_ps(_mm512_cvtph_ps(halves), _mm512_set1_ps(0x1p7f * factor));
}

BODY void store_vec(float *p, vec v) { _mm512_storeu_ps(p, v); }
BODY vec splat(float x) { return _mm512_set1_ps(x); }
BODY vec add_vec(vec a, vec b) { return _mm512_add_ps(a, b); }
BODY vec multiply(vec a, vec b) { return _mm512_mul_ps(a, b); }
BODY vec multiply_add(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
BODY vec fused_multiply_add(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }

BODY bytes load_all(const uint8_t *p) { return _mm512_loadu_si512(p); }
BODY void store_bytes(uint8_t *p, bytes v) { _mm512_storeu_si512(p, v); }
BODY bytes load_bytes(const uint8_t *p, int64_t panel) {
  __m256i low = _mm256_loadu_si256((const __m256i *)p), high = _mm256_loadu_si256((const __m256i *)(p + panel));
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
BODY void hide(bytes *v) { __asm__("" : "+v"(*v)); }
BODY bytes take_bits(bytes v, int shift, uint8_t mask) {
  bytes moved = shift < 0 ? _mm512_slli_epi16(v, (unsigned)-shift) : _mm512_srli_epi16(v, (unsigned)shift);
  return _mm512_and_si512(moved, _mm512_set1_epi8((char)mask));
}
BODY bytes or_bytes(bytes a, bytes b) { return _mm512_or_si512(a, b); }
BODY bytes subtract_bytes(bytes a, bytes b) { return _mm512_sub_epi8(a, b); }
BODY bytes flip_signs(bytes v) { return _mm512_xor_si512(v, _mm512_set1_epi8((char)0x80)); }
BODY bytes lookup(const int8_t levels[16], bytes codes) {
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)levels)), codes);
}
BODY bytes splat_byte(int x) { return _mm512_set1_epi8((char)x); }
BODY bytes splat_quad(const uint8_t *p) {
  int32_t quad;
  memcpy(&quad, p, 4);
  return _mm512_set1_epi32(quad);
}

BODY words no_words(void) { return _mm512_setzero_si512(); }
/// Hidden, so that chains of sums stay chains.
BODY ints add_ints(ints a, ints b) {
  ints sum = _mm512_add_epi32(a, b);
  hide(&sum);
  return sum;
}
BODY ints splat_int(int32_t x) { return _mm512_set1_epi32(x); }
BODY vec floats_of(ints a) { return _mm512_cvtepi32_ps(a); }
BODY vec column_of(bytes quad, int c) {
  const __m128i at = _mm_add_epi32(_mm_setr_epi32(0x00808080, 0x04808080, 0x08808080, 0x0c808080), _mm_set1_epi32(c << 24));
  if (c == 0) return floats_of(_mm512_slli_epi32(quad, 24));
  if (c == 3) return floats_of(_mm512_and_si512(quad, _mm512_set1_epi32((int32_t)0xff000000)));
  return floats_of(_mm512_shuffle_epi8(quad, _mm512_broadcast_i32x4(at)));
}
BODY vec float_column_of(bytes quad, int c, int shift, uint32_t mask) {
  __m512i moved = _mm512_srai_epi32(_mm512_slli_epi32(quad, (unsigned)(24 - 8 * c)), (unsigned)shift);
  return _mm512_castsi512_ps(_mm512_and_si512(moved, _mm512_set1_epi32((int32_t)mask)));
}
