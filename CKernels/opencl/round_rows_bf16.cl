// The rows of a plan as products by tensor cores read them: gathered, weighed, and rounded as CKernels/rows/round_bf16.h does, row after row of a tile.

/// One item takes eight columns of one tile, whose first row in `rounded` is the tile's last number.
kernel void round_rows_bf16(
    const global int *lists, int tiles, int tokens, int weights, const global float *x, global ushort *rounded, int columns, int inputs, int flags) {
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int first = tile[1], count = tile[2], column = 8 * get_global_id(0);
  for (int i = 0; i < count; i++)
    vstore8(bf16_of_float(inputs_at(PRODUCT_INPUTS, first + i, column)), 0, rounded + (long)(tile[3] + i) * columns + column);
}
