// Levels of 16 weight rows, and their scales, as panels take them: 32 columns at a time.

/// Rows `row` to `row + 15` of a matrix, whose last one stands for those behind it.
void lines_of_panel(
    const global matrix *matrices, const global uchar *up_codes, const global uchar *up_planes, const global uchar *gate_codes,
    const global uchar *gate_planes, int expert, int experts, int rows, int columns, int row, bool gate, level_line *lines) {
  for (int k = 0; k < 16; k++) lines[k] = line_of(PRODUCT_WEIGHTS, min(row + k, rows - 1), gate);
}

/// Has the columns from `begin` to `end` fetched.
void ask_for_lines(const level_line *lines, int columns, int begin, int end) {
  const long row_bytes = lines[0].m->row_bytes;
  for (int k = 0; k < 16; k++)
    for (long at = row_bytes * begin / columns; at < row_bytes * end / columns + 64; at += 64) ask_for(lines[k].codes + at);
}

/// Four columns of 16 rows each.
void quads_of_panel(const level_line *lines, int column, uint16 *quads) {
  UNROLLED for (int k = 0; k < 8; k++) quads[k] = (uint16)(level_quads(lines[2 * k], column), level_quads(lines[2 * k + 1], column));
  transpose_uint16(quads);
}

/// Scales of 16 rows, and minima where there are any.
void scales_of_panel(const level_line *lines, int column, float16 *scales, float16 *minima) {
  UNROLLED for (int k = 0; k < 16; k++) {
    const float2 scale = level_scale(lines[k], column);
    ((float *)scales)[k] = scale.x;
    if (HAS_MINIMUM) ((float *)minima)[k] = scale.y;
  }
}

/// Column k of a quad.
float16 column_of_quads(uint16 quads, int k) { return convert_float16(as_int16(quads) << (24 - 8 * k) >> 24); }
