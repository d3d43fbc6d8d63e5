// The rows of a plan as products on int8 activations read them: gathered, weighed, and rounded as CKernels/rows/round_int8.h does.

/// Row k of 32 columns: scale = largest / 127, code = value * (127 / largest) to the nearest even. A row with NaN or infinity has codes 0 and scale NaN,
/// one of which nothing would be left scale 0.
void round_row(float16 first, float16 last, global rounded_rows *rows, int k) {
  const uint16 sixteen = max(as_uint16(fabs(first)), as_uint16(fabs(last)));
  const uint8 eight = max(sixteen.lo, sixteen.hi);
  const uint4 four = max(eight.lo, eight.hi);
  const uint2 two = max(four.lo, four.hi);
  const uint most = max(two.lo, two.hi);
  const float largest = as_float(most), inverse = 127 / largest;
  const bool is_finite = most < 0x7f800000, is_small = !(inverse < INFINITY);
  const float16 factor = is_finite && !is_small ? inverse : 0;
  // 1.5 * 2^23: the last bits of the sum are the rounded integer.
  const int16 begin = (as_int16(first * factor + 12582912.0f) - 0x4b400000) & (is_finite ? -1 : 0);
  const int16 end = (as_int16(last * factor + 12582912.0f) - 0x4b400000) & (is_finite ? -1 : 0);
  uint quads[8];
  vstore4(as_uint4(convert_char16(begin)), 0, quads);
  vstore4(as_uint4(convert_char16(end)), 1, quads);
  UNROLLED for (int q = 0; q < 8; q++) rows->codes[q][k] = quads[q];
  rows->scales[k] = is_finite ? is_small ? 0 : largest / 127 : NAN;
  const int8 sums = GROUPS > 1 ? begin.lo + begin.hi : begin.lo + begin.hi + end.lo + end.hi, others = end.lo + end.hi;
  const int4 halves = sums.lo + sums.hi, other_halves = others.lo + others.hi;
  rows->sums[0][k] = halves.s0 + halves.s1 + halves.s2 + halves.s3;
  rows->sums[1][k] = other_halves.s0 + other_halves.s1 + other_halves.s2 + other_halves.s3;
}

/// One item takes `span` columns of one tile, whose first row in `rounded` is the tile's last number.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void round_rows(
    const global int *lists, int tiles, int tokens, int weights, const global float *x, global rounded_rows *rounded, int columns, int inputs, int flags,
    int span) {
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int first = tile[1], count = tile[2], begin = get_global_id(0) * span, end = min(begin + span, columns);
  for (int i = 0; i < (count + 7) / 8 * 8; i++) {
    global rounded_rows *rows = rounded + (long)((tile[3] + i) / 8) * (columns / 32);
    for (int column = begin; column < end; column += 32) {
      float16 values[2] = {0, 0};
      UNROLLED for (int half_of = 0; half_of < 2 && i < count; half_of++) {
        const int at = column + 16 * half_of;
        values[half_of] = (float16)(inputs_at(PRODUCT_INPUTS, first + i, at), inputs_at(PRODUCT_INPUTS, first + i, at + 8));
      }
      round_row(values[0], values[1], rows + column / 32, i % 8);
    }
  }
}
