// First of every program: the sizes that the host chose, and the vocabulary of the kernels.
//
// The host defines GROUP_ROWS, GROUP_TOKENS, ITEM_ROWS (8 or 16), ITEM_TOKENS, STEP and FEW (see docs/opencl.md), FORMAT and, where scales lie in a
// plane, SCALES.
#pragma OPENCL FP_CONTRACT OFF

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
/// Weight rows of one item, side by side.
typedef JOIN(float, ITEM_ROWS) item_rows;
#define load_item_rows JOIN(vload, ITEM_ROWS)
#define store_item_rows JOIN(vstore, ITEM_ROWS)

#ifdef HAS_FMA
#define multiply_add(a, b, c) fma(a, b, c)
#else
#define multiply_add(a, b, c) ((a) * (b) + (c))
#endif

#define UNROLLED _Pragma("unroll")

/// Columns whose products are summed in one chain; the sums of the chains are added in order.
enum { RUN = 256 };

/// E8M0 halved, the scale of codes that hold twice their value.
float half_of_e8m0(uchar code) { return as_float(code < 2 ? 0x00200000u << code : (code - 1u) << 23); }

/// Twice the values of FP4 E2M1 codes.
float8 twice_e2m1(uchar8 codes) {
  int8 step = convert_int8(codes & (uchar)7), value = step + max(step - 4, (int8)0) + 2 * max(step - 6, (int8)0);
  return convert_float8(select(value, -value, convert_int8(codes & (uchar)8) != 0));
}

/// Codes of four bits, two a byte, the first low.
uchar8 pairs_of_codes(const global uchar *p) {
  uchar4 pairs = vload4(0, p), low = pairs & (uchar)15, high = pairs >> (uchar)4;
  return (uchar8)(low.s0, high.s0, low.s1, high.s1, low.s2, high.s2, low.s3, high.s3);
}

/// FP8 E4M3.
float8 float_of_e4m3(uchar8 codes) {
  uint8 magnitude = convert_uint8(codes & (uchar)0x7f), sign = convert_uint8(codes & (uchar)0x80) << 24;
  float8 normal = as_float8((magnitude << 20) + (120u << 23)), subnormal = convert_float8(magnitude) * 0x1p-9f;
  float8 value = select(select(normal, subnormal, magnitude < 8), (float8)NAN, magnitude == 0x7f);
  return as_float8(as_uint8(value) | sign);
}
