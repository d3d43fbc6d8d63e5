// The rows of a plan as product_panels reads them: gathered, weighed, filled up with zeros, eight rows of a tile side by side, column after column.

/// One item takes a run of columns of one tile, whose first row in `arranged` is the tile's last number.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void arrange_rows(
    const global int *lists, int tiles, int tokens, int weights, const global float *x, global float *arranged, int columns, int inputs, int flags) {
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int first = tile[1], count = tile[2], begin = get_global_id(0) * RUN, end = min(begin + RUN, columns);
  for (int i = 0; i < count; i += 8) {
    global float *target = arranged + (long)(tile[3] + i) * columns;
    for (int column = begin; column < end; column += 8) {
      float8 values[8];
      UNROLLED for (int k = 0; k < 8; k++) values[k] = i + k < count ? inputs_at(PRODUCT_INPUTS, first + i + k, column) : 0;
      transpose_float8(values);
      UNROLLED for (int k = 0; k < 8; k++) vstore8(values[k], column + k, target);
    }
  }
}
