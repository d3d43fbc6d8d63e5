// AVX2 with FMA and F16C: eight lanes in one register.
#include "CMoEKernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ISA avx2
#define BODY static inline __attribute__((always_inline))

static bool supported(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define HAS_F16
BODY float float_of_f16(uint16_t h) { return _cvtsh_ss(h); }

#define HAS_CODE_VECTORS
BODY __m256i nibbles_of(const uint8_t *p) {
  __m128i low = _mm_loadu_si128((const __m128i *)p);
  return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(low, 4), low), _mm256_set1_epi8(15));
}

BODY void unpack_nibbles(const uint8_t *p, uint8_t *codes) { _mm256_storeu_si256((__m256i *)codes, nibbles_of(p)); }

BODY void unpack_nibbles_and_bits(const uint8_t *p, uint32_t fifth, uint8_t *codes) {
  const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
  __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)fifth), byte);
  __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
  __m256i codes32 = _mm256_or_si256(nibbles_of(p), _mm256_and_si256(set, _mm256_set1_epi8(16)));
  _mm256_storeu_si256((__m256i *)codes, codes32);
}

typedef __m256 vec;
typedef __m256i bytes;
typedef __m256i words;
typedef __m256i ints;

BODY vec load_vec(const float *p) { return _mm256_loadu_ps(p); }
BODY vec load_half_vec(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
BODY vec load_bfloat_vec(const uint8_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}
BODY void store_vec(float *p, vec v) { _mm256_storeu_ps(p, v); }
BODY vec splat(float x) { return _mm256_set1_ps(x); }
BODY vec add_vec(vec a, vec b) { return _mm256_add_ps(a, b); }
BODY vec multiply(vec a, vec b) { return _mm256_mul_ps(a, b); }
BODY vec multiply_add(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
BODY vec fused_multiply_add(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }

/// Turns 8 x 8 values: first pairs, then quadruples, then halves.
BODY void transpose_words(__m256i r[8]) {
  __m256i a[8], b[8];
  for (int i = 0; i < 8; i += 2) a[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]), a[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      b[i + 2 * j] = _mm256_unpacklo_epi64(a[i + j], a[i + 2 + j]);
      b[i + 2 * j + 1] = _mm256_unpackhi_epi64(a[i + j], a[i + 2 + j]);
    }
  for (int i = 0; i < 4; i++) {
    r[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
    r[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
  }
}

BODY void store_turned(const vec v[8], float *out, int64_t out_stride) {
  __m256i r[8];
  for (int i = 0; i < 8; i++) r[i] = _mm256_castps_si256(v[i]);
  transpose_words(r);
  for (int i = 0; i < 8; i++) _mm256_storeu_ps(out + i * out_stride, _mm256_castsi256_ps(r[i]));
}

BODY bytes load_bytes(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
BODY void hide(bytes *v) { __asm__("" : "+x"(*v)); }

/// Bits of every byte moved down by `shift` (up where negative), and masked.
BODY bytes take_bits(bytes v, int shift, uint8_t mask) {
  bytes moved = shift < 0 ? _mm256_slli_epi16(v, -shift) : _mm256_srli_epi16(v, shift);
  return _mm256_and_si256(moved, _mm256_set1_epi8((char)mask));
}
BODY bytes or_bytes(bytes a, bytes b) { return _mm256_or_si256(a, b); }
BODY bytes subtract_bytes(bytes v, int8_t zero) { return _mm256_sub_epi8(v, _mm256_set1_epi8(zero)); }
BODY bytes lookup(const int8_t levels[16], bytes codes) {
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)levels)), codes);
}

BODY bytes splat_quad(const int8_t *p) {
  int32_t quad;
  memcpy(&quad, p, 4);
  return _mm256_set1_epi32(quad);
}

BODY void transpose_quads(const uint8_t *rows, int64_t stride, uint8_t *out) {
  __m256i r[8];
  for (int i = 0; i < 8; i++) r[i] = load_bytes(rows + i * stride);
  transpose_words(r);
  for (int i = 0; i < 8; i++) _mm256_storeu_si256((__m256i *)(out + 32 * i), r[i]);
}

BODY words pair_products(bytes codes, bytes x) { return _mm256_maddubs_epi16(codes, x); }
BODY words signed_pair_products(bytes codes, bytes x) { return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes)); }
BODY words add_words(words a, words b) { return _mm256_add_epi16(a, b); }
BODY ints sum_pairs(words a) { return _mm256_madd_epi16(a, _mm256_set1_epi16(1)); }
BODY ints add_ints(ints a, ints b) { return _mm256_add_epi32(a, b); }
BODY vec floats_of(ints a) { return _mm256_cvtepi32_ps(a); }

/// Column `c` of a quad.
BODY ints column_of(bytes quad, int c, bool is_signed) {
  return is_signed ? _mm256_srai_epi32(_mm256_slli_epi32(quad, 24 - 8 * c), 24)
                   : _mm256_and_si256(_mm256_srli_epi32(quad, 8 * c), _mm256_set1_epi32(255));
}
BODY ints splat_int(int32_t x) { return _mm256_set1_epi32(x); }
BODY ints subtract_ints(ints a, ints b) { return _mm256_sub_epi32(a, b); }

BODY vec load_unsigned_vec(const uint8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
BODY vec load_signed_vec(const uint8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p))); }

/// 2^(e - 128) of eight exponents (see half_of_e8m0), or NaN for 255.
BODY vec load_half_exponents(const uint8_t *p, bool ends_in_nan) {
  __m256i e = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), one = _mm256_set1_epi32(1);
  __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e), normal = _mm256_slli_epi32(_mm256_sub_epi32(e, one), 23);
  vec v = _mm256_castsi256_ps(_mm256_blendv_epi8(small, normal, _mm256_cmpgt_epi32(e, one)));
  return ends_in_nan ? _mm256_or_ps(v, _mm256_castsi256_ps(_mm256_cmpeq_epi32(e, _mm256_set1_epi32(255)))) : v;
}

#include "../kernels.h"

#pragma clang attribute pop
#endif
