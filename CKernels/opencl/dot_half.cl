// The dot product of four pairs of int8 in half arithmetic, four sums side by side: exact while none is above 2048. Levels are 8 at most.
#pragma OPENCL EXTENSION cl_khr_fp16 : enable

typedef half4 quad_sums;
enum { LARGEST_LEVEL = JOIN(highest_, FORMAT) > -JOIN(lowest_, FORMAT) ? JOIN(highest_, FORMAT) : -JOIN(lowest_, FORMAT) };
/// Dot products that may be added before `sum_of`; two at least.
enum { MOST_QUADS = 2048 / (127 * LARGEST_LEVEL) };
typedef char levels_are_small[MOST_QUADS >= 2 ? 1 : -1];

quad_sums dot_quad(uint a, uint b, quad_sums sums) { return convert_half4(as_char4(a)) * convert_half4(as_char4(b)) + sums; }
int sum_of(quad_sums sums) {
  const int4 integers = convert_int4(sums);
  return integers.s0 + integers.s1 + integers.s2 + integers.s3;
}
