// The weighted sum of each token's rows, in order of expert, one multiply-add each.

/// Bits of `flags`: what the sum begins with, and what is multiplied.
enum { ADDS = 1, WEIGHS = 2, HAS_IDENTITY = 4 };

kernel void combine(
    const global float *outputs, const global int *lists, int offsets, int rows_of, int weights, int identity, const global float *x,
    global float *y, int columns, int flags, float scale) {
  const int column = get_global_id(0), token = get_global_id(1);
  const long place = (long)token * columns + column;
  float sum = flags & ADDS ? y[place] : 0;
  for (int i = lists[offsets + token]; i < lists[offsets + token + 1]; i++) {
    const int row = lists[rows_of + i];
    const float weight = flags & WEIGHS ? as_float(lists[weights + row]) * scale : scale;
    sum = multiply_add(outputs[(long)row * columns + column], weight, sum);
  }
  if (flags & HAS_IDENTITY) {
    const float weight = as_float(lists[identity + token]);
    if (weight != 0) sum = multiply_add(x[place], weight, sum);
  }
  y[place] = sum;
}
