// The conversions that several formats share.

/// What the tables of formats/ are made with.
#define TABLE(type) constant type
#define int8_t char
#define uint16_t ushort

/// Has memory fetched that is read soon, where the compiler can say so.
#if defined(__x86_64__) && __has_builtin(__builtin_prefetch)
#define ask_for(p) __builtin_prefetch((const void *)(size_t)(p))
#else
#define ask_for(p)
#endif

/// Unaligned words.
ushort short_at(const global uchar *p) { return p[0] | p[1] << 8; }
uint word_at(const global uchar *p) { return short_at(p) | (uint)short_at(p + 2) << 16; }
// On x86-64 clang's own conversion is one instruction, where vload_half may be dozens.
#ifdef __x86_64__
#if __has_builtin(__builtin_load_halff)
#define load_half __builtin_load_halff
#endif
#endif
#ifndef load_half
#define load_half(p) vload_half(0, p)
#endif
float float_of_half(ushort bits) { return load_half((const half *)&bits); }
/// The f16 `at` halves behind p, and that with the next.
float half_at(const global uchar *p, long at) { return float_of_half(((const global ushort *)p)[at]); }
float2 halves_at(const global uchar *p, long at) { return (float2)(half_at(p, at), half_at(p, at + 1)); }

/// bf16, and the nearest to an f32: NaN stays NaN.
float8 float_of_bf16(ushort8 codes) { return as_float8(convert_uint8(codes) << 16); }
ushort8 bf16_of_float(float8 values) {
  const uint8 bits = as_uint8(values), nearest = bits + 0x7fff + (bits >> 16 & 1);
  return convert_ushort8(select(nearest, bits | 0x400000, (bits & 0x7fffffff) > 0x7f800000) >> 16);
}

/// E8M0 halved, the scale of codes that hold twice their value.
float half_of_e8m0(uchar code) { return as_float(code < 2 ? 0x00200000u << code : (code - 1u) << 23); }

/// FP8 E4M3.
float8 float_of_e4m3(uchar8 codes) {
  uint8 magnitude = convert_uint8(codes & (uchar)0x7f), sign = convert_uint8(codes & (uchar)0x80) << 24;
  float8 normal = as_float8((magnitude << 20) + (120u << 23)), subnormal = convert_float8(magnitude) * 0x1p-9f;
  float8 value = select(select(normal, subnormal, magnitude < 8), (float8)NAN, magnitude == 0x7f);
  return as_float8(as_uint8(value) | sign);
}

/// FP8 E5M2, the upper half of an f16.
float8 float_of_e5m2(uchar8 codes) {
  uint8 magnitude = convert_uint8(codes & (uchar)0x7f), sign = convert_uint8(codes & (uchar)0x80) << 24;
  float8 normal = as_float8((magnitude << 21) + (112u << 23)), subnormal = convert_float8(magnitude) * 0x1p-16f;
  float8 value = select(select(normal, subnormal, magnitude < 4), as_float8(magnitude << 21 | 0x7f800000u), magnitude >= 0x7c);
  return as_float8(as_uint8(value) | sign);
}

/// FP8 E4M3 without its sign, halved, the scale of codes that hold twice their value; 127 counts as 0, 255 does not.
float half_of_ue4m3(uchar code) {
  uint magnitude = code & 0x7f;
  return code == 0x7f ? 0 : magnitude < 8 ? magnitude * 0x1p-10f : as_float((magnitude << 20) + (119u << 23));
}

/// Eight, and 32, bytes as words.
uint2 uint2_at(const global uchar *p) { return as_uint2(vload8(0, p)); }
uint8 uint8_at(const global uchar *p) { return (uint8)(as_uint4(vload16(0, p)), as_uint4(vload16(1, p))); }

/// Eight, and all, codes of a block of 32: byte i of 16 holds code i low and code i + 16 high.
uint2 halves_uint2(const global uchar *p, int column) { return uint2_at(p + column % 16) >> (column & 16 ? 4u : 0u) & 0x0f0f0f0fu; }
uint8 halves_uint8(const global uchar *p, int column) {
  const uint4 pairs = as_uint4(vload16(0, p));
  return (uint8)(pairs, pairs >> 4u) & 0x0f0f0f0fu;
}
uchar8 codes_of_32(const global uchar *p, int column) { return as_uchar8(halves_uint2(p, column)); }

/// One bit a code of a block of 32: bit i of four bytes for code i.
uint2 bits_uint2(const global uchar *p, int column) {
  const uint byte = p[column % 32 / 8];
  return (uint2)(byte & 15, byte >> 4) * 0x00204081u & 0x01010101u;
}
uint8 bits_uint8(const global uchar *p, int column) {
  return ((uint8)word_at(p) >> (uint8)(0, 4, 8, 12, 16, 20, 24, 28) & 15u) * 0x00204081u & 0x01010101u;
}

/// Octets of columns and quads of 32 alike: codes in bytes, four in a word. Of 256 codes in a plane, `span` bytes hold `span` of them in their lowest
/// `bits`, the next above these, and so on. Levels are codes of up to 7 bits less `zero`, or twice the values of FP4 E2M1 codes: 0, 1, 2, 3, 4, 6, 8,
/// 12. `bytes` are nibbles apart.
#define WORDS(words)                                                                                                              \
  words plane_##words(const global uchar *p, int bits, int span, int column) {                                                    \
    const int part = column % 256 / span, parts = 8 / bits;                                                                       \
    return words##_at(p + part / parts * span + column % span) >> (uint)(part % parts * bits) & ((1u << bits) - 1) * 0x01010101u; \
  }                                                                                                                               \
  words less_##words(words codes, uint zero) { return ((codes | 0x80808080u) - zero * 0x01010101u) ^ 0x80808080u; }               \
  words bytes_##words(words nibbles) {                                                                                            \
    const words pairs = (nibbles | nibbles << 8u) & 0x00ff00ffu;                                                                  \
    return (pairs | pairs << 4u) & 0x0f0f0f0fu;                                                                                   \
  }                                                                                                                               \
  words twice_e2m1_##words(words codes) {                                                                                         \
    const words step = codes & 0x03030303u, above = codes >> 2u & 0x01010101u, sign = (codes >> 3u & 0x01010101u) * 255u;         \
    const words value = (codes & 0x07070707u) + (above * 3u & step) + ((above & step & step >> 1u) << 1u);                        \
    return bitselect(value, (0x80808080u - value) ^ 0x80808080u, sign);                                                           \
  }
WORDS(uint2)
WORDS(uint8)

/// Eight, and 32, codes of four bits, two a byte, the first low.
uint2 pairs_uint2(const global uchar *p) { return bytes_uint2((uint2)(short_at(p), short_at(p + 2))); }
uint8 pairs_uint8(const global uchar *p) {
  const uint4 pairs = as_uint4(vload16(0, p)), low = pairs & 0xffffu, high = pairs >> 16u;
  return bytes_uint8((uint8)(low.s0, high.s0, low.s1, high.s1, low.s2, high.s2, low.s3, high.s3));
}

/// Six-bit scale and minimum, below 0, of group g, whose places are in formats/affine_groups.h.
float2 affine_group(const global uchar *p, int g) {
  int scale = g < 4 ? p[g] & 63 : (p[4 + g] & 15) | p[g - 4] >> 6 << 4, minimum = g < 4 ? p[4 + g] & 63 : p[4 + g] >> 4 | p[g] >> 6 << 4;
  return (float2)(scale, -minimum);
}

/// What formats of integer levels have beside `scale_<name>(row, column)`, the scale and the minimum of the group of columns that `column` is in, and
/// `octet_<name>(row, column)`, eight levels from `low` to `high`: value = scale * level + minimum.
#define LEVELS(name, low, high, columns, has_minimum)                                                           \
  enum { lowest_##name = low, highest_##name = high, group_##name = columns, minimum_##name = has_minimum };    \
  float8 decode_##name(const global uchar *row, int column) {                                                   \
    float2 scale = scale_##name(row, column);                                                                   \
    float8 values = convert_float8(octet_##name(row, column)) * scale.x;                                        \
    return minimum_##name ? values + scale.y : values;                                                          \
  }

/// Octets, and 32 levels with four in a quad, of `levels_<name>(words)` of a block of `columns` columns, which takes `bytes`.
#define PLANES(name, columns, bytes)                                                                            \
  char8 octet_##name(const global uchar *row, int column) {                                                     \
    const global uchar *block = row + column / columns * bytes;                                                 \
    return as_char8(levels_##name(uint2));                                                                      \
  }                                                                                                             \
  uint8 quads_##name(const global uchar *row, int column) {                                                     \
    const global uchar *block = row + column / columns * bytes;                                                 \
    return levels_##name(uint8);                                                                                \
  }

/// Quads of octets, where a format has no other way.
#define QUADS(name)                                                                                             \
  uint8 quads_##name(const global uchar *row, int column) {                                                     \
    uint2 quads[4];                                                                                             \
    UNROLLED for (int i = 0; i < 4; i++) quads[i] = as_uint2(octet_##name(row, column + 8 * i));                \
    return (uint8)(quads[0], quads[1], quads[2], quads[3]);                                                     \
  }
