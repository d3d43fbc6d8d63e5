// The portable table: eight lanes as arrays, mapped by the compiler to the baseline instruction set.
#include "CMoEKernels.h"
#include "../formats/bits.h"

#include <math.h>
#include <string.h>

#define ISA scalar
#define PEAK_CHAINS 5
#define FEW_TOKENS 0
#define INT8_FEW 0
#define BODY static inline __attribute__((always_inline))

static bool supported(void) { return true; }

typedef float four __attribute__((vector_size(16), aligned(1), may_alias));
typedef struct { four part[2]; } vec;
typedef struct { uint8_t at[32]; } bytes;
typedef struct { int16_t at[16]; } words;
typedef struct { int32_t at[8]; } ints;

typedef vec eight;
enum { VEC_ROWS = 8 };

BODY vec load_vec(const float *p) { return (vec){{((const four *)p)[0], ((const four *)p)[1]}}; }
BODY vec load_half_vec(const uint8_t *p, int64_t panel) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = load_f16(p + 2 * i);
  return v;
}
BODY vec load_bfloat_vec(const uint8_t *p) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = load_bf16(p + 2 * i);
  return v;
}
BODY vec load_float_vec(const uint8_t *p, int64_t panel) { return load_vec((const float *)p); }
BODY eight load_eight(const float *p) { return load_vec(p); }
BODY eight load_half_eight(const uint8_t *p) { return load_half_vec(p, 0); }
BODY eight load_bfloat_eight(const uint8_t *p) { return load_bfloat_vec(p); }
BODY void store_vec(float *p, vec v) { ((four *)p)[0] = v.part[0], ((four *)p)[1] = v.part[1]; }
BODY vec splat(float x) { return (vec){{{x, x, x, x}, {x, x, x, x}}}; }
BODY vec add_vec(vec a, vec b) { return (vec){{a.part[0] + b.part[0], a.part[1] + b.part[1]}}; }
BODY vec multiply(vec a, vec b) { return (vec){{a.part[0] * b.part[0], a.part[1] * b.part[1]}}; }
BODY vec multiply_add(vec a, vec b, vec c) { return (vec){{a.part[0] * b.part[0] + c.part[0], a.part[1] * b.part[1] + c.part[1]}}; }

BODY vec fused_multiply_add(vec a, vec b, vec c) {
  for (int i = 0; i < 2; i++)
    for (int j = 0; j < 4; j++) c.part[i][j] = fmaf(a.part[i][j], b.part[i][j], c.part[i][j]);
  return c;
}

BODY void store_turned(const eight v[8], float *out, int64_t out_stride) {
  for (int c = 0; c < 8; c++)
    for (int r = 0; r < 8; r++) out[c * out_stride + r] = v[r].part[c / 4][c % 4];
}

BODY bytes load_all(const uint8_t *p) {
  bytes v;
  memcpy(&v, p, 32);
  return v;
}
BODY bytes load_bytes(const uint8_t *p, int64_t panel) { return load_all(p); }
BODY void store_bytes(uint8_t *p, bytes v) { memcpy(p, &v, 32); }

BODY void hide(bytes *v) { __asm__("" : "+m"(*v)); }

BODY bytes take_bits(bytes v, int shift, uint8_t mask) {
  for (int i = 0; i < 32; i++) v.at[i] = (uint8_t)((shift < 0 ? v.at[i] << -shift : v.at[i] >> shift) & mask);
  return v;
}

BODY bytes or_bytes(bytes a, bytes b) {
  for (int i = 0; i < 32; i++) a.at[i] |= b.at[i];
  return a;
}

BODY bytes subtract_bytes(bytes a, bytes b) {
  for (int i = 0; i < 32; i++) a.at[i] = (uint8_t)(a.at[i] - b.at[i]);
  return a;
}

BODY bytes splat_byte(int x) {
  bytes v;
  memset(&v, x, sizeof v);
  return v;
}

BODY bytes lookup(const int8_t levels[16], bytes codes) {
  for (int i = 0; i < 32; i++) codes.at[i] = (uint8_t)levels[codes.at[i]];
  return codes;
}

BODY bytes splat_quad(const uint8_t *p) {
  bytes v;
  for (int i = 0; i < 32; i += 4) memcpy(v.at + i, p, 4);
  return v;
}

BODY void transpose_quads(const uint8_t *rows, int64_t stride, uint8_t *out) {
  for (int q = 0; q < 8; q++)
    for (int r = 0; r < 8; r++) memcpy(out + 32 * q + 4 * r, rows + r * stride + 4 * q, 4);
}

BODY words no_words(void) { return (words){{0}}; }

BODY words dot(words sum, bytes codes, bytes x) {
  for (int i = 0; i < 16; i++)
    sum.at[i] = (int16_t)(sum.at[i] + codes.at[2 * i] * (int8_t)x.at[2 * i] + codes.at[2 * i + 1] * (int8_t)x.at[2 * i + 1]);
  return sum;
}

BODY words signed_dot(words sum, bytes codes, bytes x) {
  for (int i = 0; i < 16; i++)
    sum.at[i] = (int16_t)(sum.at[i] + (int8_t)codes.at[2 * i] * (int8_t)x.at[2 * i] + (int8_t)codes.at[2 * i + 1] * (int8_t)x.at[2 * i + 1]);
  return sum;
}

BODY ints sum_words(words a) {
  ints sums;
  for (int i = 0; i < 8; i++) sums.at[i] = a.at[2 * i] + a.at[2 * i + 1];
  return sums;
}

BODY ints add_ints(ints a, ints b) {
  for (int i = 0; i < 8; i++) a.at[i] += b.at[i];
  return a;
}

BODY vec floats_of(ints a) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = (float)a.at[i];
  return v;
}

BODY vec column_of(bytes quad, int c) {
  vec v;
  for (int r = 0; r < 8; r++) v.part[r / 4][r % 4] = 0x1p24f * (float)(int8_t)quad.at[4 * r + c];
  return v;
}

BODY vec float_column_of(bytes quad, int c, int shift, uint32_t mask) {
  vec v;
  for (int r = 0; r < 8; r++) v.part[r / 4][r % 4] = float_of_bits((uint32_t)((int32_t)((uint32_t)quad.at[4 * r + c] << 24) >> shift) & mask);
  return v;
}

BODY ints splat_int(int32_t x) {
  ints v;
  for (int i = 0; i < 8; i++) v.at[i] = x;
  return v;
}

BODY vec load_unsigned_vec(const uint8_t *p, int64_t panel) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = p[i];
  return v;
}

BODY vec load_signed_vec(const uint8_t *p, int64_t panel) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = (int8_t)p[i];
  return v;
}

BODY vec load_nibble_vec(const uint8_t *p, int64_t panel, int shift) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = p[i] >> shift & 15;
  return v;
}

BODY vec load_half_exponents(const uint8_t *p, int64_t panel, bool ends_in_nan) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = ends_in_nan && p[i] == 255 ? (float)NAN : half_of_e8m0(p[i]);
  return v;
}

BODY vec load_half_ue4m3(const uint8_t *p, int64_t panel, float factor) {
  vec v;
  for (int i = 0; i < 8; i++) v.part[i / 4][i % 4] = half_of_ue4m3(p[i]) * factor;
  return v;
}

#include "../kernels.h"
