// The vocabulary of the AArch64 tables: eight rows in two registers. The file that includes it says how products are summed.
#pragma once

#define HAS_F16
BODY float float_of_f16(uint16_t h) {
  __fp16 v;
  memcpy(&v, &h, sizeof v);
  return (float)v;
}

#define HAS_CODE_VECTORS
BODY void unpack_nibbles(const uint8_t *p, uint8_t *codes) {
  uint8x16_t v = vld1q_u8(p);
  vst1q_u8(codes, vandq_u8(v, vdupq_n_u8(15)));
  vst1q_u8(codes + 16, vshrq_n_u8(v, 4));
}

BODY void unpack_nibbles_and_bits(const uint8_t *p, uint32_t fifth, uint8_t *codes) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201)), sixteen = vdupq_n_u8(16);
  uint8x16_t v = vld1q_u8(p);
  uint8x16_t low = vcombine_u8(vdup_n_u8((uint8_t)fifth), vdup_n_u8((uint8_t)(fifth >> 8)));
  uint8x16_t high = vcombine_u8(vdup_n_u8((uint8_t)(fifth >> 16)), vdup_n_u8((uint8_t)(fifth >> 24)));
  vst1q_u8(codes, vorrq_u8(vandq_u8(v, vdupq_n_u8(15)), vandq_u8(vtstq_u8(low, bit), sixteen)));
  vst1q_u8(codes + 16, vorrq_u8(vshrq_n_u8(v, 4), vandq_u8(vtstq_u8(high, bit), sixteen)));
}

enum { VEC_ROWS = 8 };
typedef struct { float32x4_t low, high; } vec;
typedef struct { uint8x16_t low, high; } bytes;
typedef struct { int32x4_t low, high; } ints;
typedef vec eight;

BODY vec load_vec(const float *p) { return (vec){vld1q_f32(p), vld1q_f32(p + 4)}; }
BODY vec load_half_vec(const uint8_t *p, int64_t panel) {
  float16x8_t v = vreinterpretq_f16_u8(vld1q_u8(p));
  return (vec){vcvt_f32_f16(vget_low_f16(v)), vcvt_high_f32_f16(v)};
}
BODY vec load_bfloat_vec(const uint8_t *p) {
  uint16x8_t v = vreinterpretq_u16_u8(vld1q_u8(p));
  return (vec){vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(v), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(v, 16))};
}
BODY vec load_float_vec(const uint8_t *p, int64_t panel) { return load_vec((const float *)p); }
BODY eight load_eight(const float *p) { return load_vec(p); }
BODY eight load_half_eight(const uint8_t *p) { return load_half_vec(p, 0); }
BODY eight load_bfloat_eight(const uint8_t *p) { return load_bfloat_vec(p); }

BODY vec vec_of_bytes(uint8x8_t bytes) {
  uint16x8_t v = vmovl_u8(bytes);
  return (vec){vcvtq_f32_u32(vmovl_u16(vget_low_u16(v))), vcvtq_f32_u32(vmovl_high_u16(v))};
}
BODY vec load_unsigned_vec(const uint8_t *p, int64_t panel) { return vec_of_bytes(vld1_u8(p)); }
BODY vec load_nibble_vec(const uint8_t *p, int64_t panel, int shift) {
  return vec_of_bytes((vld1_u8(p) >> vdup_n_u8((uint8_t)shift)) & vdup_n_u8(15));
}
BODY vec load_signed_vec(const uint8_t *p, int64_t panel) {
  int16x8_t v = vmovl_s8(vreinterpret_s8_u8(vld1_u8(p)));
  return (vec){vcvtq_f32_s32(vmovl_s16(vget_low_s16(v))), vcvtq_f32_s32(vmovl_high_s16(v))};
}

BODY float32x4_t half_of_exponents(uint32x4_t e, bool ends_in_nan) {
  uint32x4_t one = vdupq_n_u32(1);
  uint32x4_t small = vshlq_u32(vdupq_n_u32(0x00200000), vreinterpretq_s32_u32(e)), normal = vshlq_n_u32(vsubq_u32(e, one), 23);
  uint32x4_t v = vbslq_u32(vcgtq_u32(e, one), normal, small);
  if (ends_in_nan) v = vbslq_u32(vceqq_u32(e, vdupq_n_u32(255)), vdupq_n_u32(0x7fc00000), v);
  return vreinterpretq_f32_u32(v);
}
BODY vec load_half_exponents(const uint8_t *p, int64_t panel, bool ends_in_nan) {
  uint16x8_t e = vmovl_u8(vld1_u8(p));
  return (vec){half_of_exponents(vmovl_u16(vget_low_u16(e)), ends_in_nan), half_of_exponents(vmovl_high_u16(e), ends_in_nan)};
}

/// As half precision, the bits of E4M3 stand for 2^-8 of their value.
/// An exponent of E4M3 stands for 2^8 times what it does in a half.
BODY vec load_half_ue4m3(const uint8_t *p, int64_t panel, float factor) {
  uint16x8_t v = vmovl_u8(vld1_u8(p));
  float16x8_t halves = vreinterpretq_f16_u16(vorrq_u16(vshlq_n_u16(v, 7), vceqq_u16(v, vdupq_n_u16(255))));
  factor *= 0x1p7f;
  return (vec){vmulq_n_f32(vcvt_f32_f16(vget_low_f16(halves)), factor), vmulq_n_f32(vcvt_high_f32_f16(halves), factor)};
}

BODY void store_vec(float *p, vec v) { vst1q_f32(p, v.low), vst1q_f32(p + 4, v.high); }
BODY vec splat(float x) { return (vec){vdupq_n_f32(x), vdupq_n_f32(x)}; }
BODY vec add_vec(vec a, vec b) { return (vec){vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
BODY vec multiply(vec a, vec b) { return (vec){vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
BODY vec fused_multiply_add(vec a, vec b, vec c) { return (vec){vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }
BODY vec multiply_add(vec a, vec b, vec c) { return fused_multiply_add(a, b, c); }

BODY bytes load_all(const uint8_t *p) { return (bytes){vld1q_u8(p), vld1q_u8(p + 16)}; }
BODY bytes load_bytes(const uint8_t *p, int64_t panel) { return load_all(p); }
BODY void store_bytes(uint8_t *p, bytes v) { vst1q_u8(p, v.low), vst1q_u8(p + 16, v.high); }
BODY void hide(bytes *v) { __asm__("" : "+w"(v->low), "+w"(v->high)); }
BODY bytes take_bits(bytes v, int shift, uint8_t mask) {
  const uint8x16_t by = vdupq_n_u8((uint8_t)(shift < 0 ? -shift : shift)), kept = vdupq_n_u8(mask);
  return shift < 0 ? (bytes){(v.low << by) & kept, (v.high << by) & kept} : (bytes){(v.low >> by) & kept, (v.high >> by) & kept};
}
BODY bytes or_bytes(bytes a, bytes b) { return (bytes){vorrq_u8(a.low, b.low), vorrq_u8(a.high, b.high)}; }
BODY bytes subtract_bytes(bytes a, bytes b) { return (bytes){vsubq_u8(a.low, b.low), vsubq_u8(a.high, b.high)}; }
BODY bytes splat_byte(int x) { return (bytes){vdupq_n_u8((uint8_t)x), vdupq_n_u8((uint8_t)x)}; }
BODY bytes lookup(const int8_t levels[16], bytes codes) {
  uint8x16_t table = vreinterpretq_u8_s8(vld1q_s8(levels));
  return (bytes){vqtbl1q_u8(table, codes.low), vqtbl1q_u8(table, codes.high)};
}
BODY bytes splat_quad(const uint8_t *p) {
  uint32_t quad;
  memcpy(&quad, p, 4);
  uint8x16_t v = vreinterpretq_u8_u32(vdupq_n_u32(quad));
  return (bytes){v, v};
}

BODY ints add_ints(ints a, ints b) { return (ints){vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }
BODY ints splat_int(int32_t x) { return (ints){vdupq_n_s32(x), vdupq_n_s32(x)}; }
BODY vec floats_of(ints a) { return (vec){vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)}; }

BODY float32x4_t column_of_four(uint8x16_t quads, int c) {
  const uint32x4_t up = vdupq_n_u32((uint32_t)(24 - 8 * c)), top = vdupq_n_u32(0xff000000);
  return vcvtq_f32_s32(vreinterpretq_s32_u32((vreinterpretq_u32_u8(quads) << up) & top));
}
BODY vec column_of(bytes quad, int c) { return (vec){column_of_four(quad.low, c), column_of_four(quad.high, c)}; }

BODY float32x4_t float_column_of_four(uint8x16_t quads, int c, int shift, uint32_t mask) {
  int32x4_t moved = vreinterpretq_s32_u32(vreinterpretq_u32_u8(quads) << vdupq_n_u32((uint32_t)(24 - 8 * c))) >> vdupq_n_s32(shift);
  return vreinterpretq_f32_u32(vreinterpretq_u32_s32(moved) & vdupq_n_u32(mask));
}
BODY vec float_column_of(bytes quad, int c, int shift, uint32_t mask) {
  return (vec){float_column_of_four(quad.low, c, shift, mask), float_column_of_four(quad.high, c, shift, mask)};
}

/// Turns 4 x 4 values: first pairs, then halves.
BODY void turn_four(const uint32x4_t v[4], uint32x4_t out[4]) {
  uint64x2_t even[2], odd[2];
  for (int i = 0; i < 2; i++) {
    even[i] = vreinterpretq_u64_u32(vtrn1q_u32(v[2 * i], v[2 * i + 1]));
    odd[i] = vreinterpretq_u64_u32(vtrn2q_u32(v[2 * i], v[2 * i + 1]));
  }
  out[0] = vreinterpretq_u32_u64(vzip1q_u64(even[0], even[1])), out[1] = vreinterpretq_u32_u64(vzip1q_u64(odd[0], odd[1]));
  out[2] = vreinterpretq_u32_u64(vzip2q_u64(even[0], even[1])), out[3] = vreinterpretq_u32_u64(vzip2q_u64(odd[0], odd[1]));
}

BODY void store_turned(const eight v[8], float *out, int64_t out_stride) {
  for (int r = 0; r < 8; r += 4)
    for (int c = 0; c < 8; c += 4) {
      uint32x4_t corner[4], turned[4];
      for (int i = 0; i < 4; i++) corner[i] = vreinterpretq_u32_f32(c ? v[r + i].high : v[r + i].low);
      turn_four(corner, turned);
      for (int i = 0; i < 4; i++) vst1q_f32(out + (c + i) * out_stride + r, vreinterpretq_f32_u32(turned[i]));
    }
}

BODY void transpose_quads(const uint8_t *rows, int64_t stride, uint8_t *out) {
  for (int r = 0; r < 8; r += 4)
    for (int q = 0; q < 8; q += 4) {
      uint32x4_t corner[4], turned[4];
      for (int i = 0; i < 4; i++) corner[i] = vreinterpretq_u32_u8(vld1q_u8(rows + (r + i) * stride + 4 * q));
      turn_four(corner, turned);
      for (int i = 0; i < 4; i++) vst1q_u8(out + 32 * (q + i) + 4 * r, vreinterpretq_u8_u32(turned[i]));
    }
}
