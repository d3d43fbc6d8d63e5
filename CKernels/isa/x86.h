// What the x86 tables share: half precision, unpacking of codes, eight rows turned.
#pragma once

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

typedef __m256 eight;

BODY eight load_eight(const float *p) { return _mm256_loadu_ps(p); }
BODY eight load_half_eight(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
BODY eight load_bfloat_eight(const uint8_t *p) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

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

BODY void store_turned(const eight v[8], float *out, int64_t out_stride) {
  __m256i r[8];
  for (int i = 0; i < 8; i++) r[i] = _mm256_castps_si256(v[i]);
  transpose_words(r);
  for (int i = 0; i < 8; i++) _mm256_storeu_ps(out + i * out_stride, _mm256_castsi256_ps(r[i]));
}

BODY void transpose_quads(const uint8_t *rows, int64_t stride, uint8_t *out) {
  __m256i r[8];
  for (int i = 0; i < 8; i++) r[i] = _mm256_loadu_si256((const __m256i *)(rows + i * stride));
  transpose_words(r);
  for (int i = 0; i < 8; i++) _mm256_storeu_si256((__m256i *)(out + 32 * i), r[i]);
}
