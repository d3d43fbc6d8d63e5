// What products on int8 activations share: the levels and scales of weights, and rows rounded to int8.

/// Columns that share a scale, how many such groups 32 columns are, and whether weights have a minimum.
enum { GROUP = JOIN(group_, FORMAT), GROUPS = 32 / GROUP, HAS_MINIMUM = JOIN(minimum_, FORMAT) };

/// 32 columns of eight rows of a tile: four codes of a row in a quad, what codes are times, and the sums of the codes of each group.
typedef struct {
  uint codes[8][8];
  float scales[8];
  int sums[2][8];
} rounded_rows;

/// One row of a matrix.
typedef struct {
  const global matrix *m;
  const global uchar *codes, *planes;
  int row;
} level_line;

level_line line_of(
    const global matrix *matrices, const global uchar *up_codes, const global uchar *up_planes, const global uchar *gate_codes,
    const global uchar *gate_planes, int expert, int experts, int rows, int columns, int row, bool gate) {
  const global matrix *m = matrices + (gate ? experts + expert : expert);
  return (level_line){m, (gate ? gate_codes : up_codes) + m->codes + row * m->row_bytes, gate ? gate_planes : up_planes, row};
}

/// Levels of the columns from `column` on, four in a quad.
uint2 level_octet(level_line line, int column) { return as_uint2(JOIN(octet_, FORMAT)(line.codes, column)); }
uint8 level_quads(level_line line, int column) { return JOIN(quads_, FORMAT)(line.codes, column); }

/// Scale and minimum of the group of columns that `column` is in, from the codes, times the factor of the matrix, or from planes.
#define SCALE_OF(type)                                                                                        \
  float2 scale_of_##type(level_line line, int column) {                                                       \
    const long index = scale_index(line.m, line.planes, line.row, column);                                    \
    const float scale = scale_##type(line.planes + line.m->scales, index) * line.m->global_scale;             \
    return (float2)(scale * JOIN(scale_, FORMAT)(line.codes, column).x, -(scale * zero_at(line.m, line.planes, index))); \
  }
SCALE_OF(f32)
SCALE_OF(f16)
SCALE_OF(bf16)
SCALE_OF(e4m3)
SCALE_OF(e8m0)
float2 scale_of_none(level_line line, int column) { return JOIN(scale_, FORMAT)(line.codes, column); }
float2 scale_of_factor(level_line line, int column) { return JOIN(scale_, FORMAT)(line.codes, column) * line.m->global_scale; }
#define level_scale JOIN(scale_of_, SCALES)

/// The 32 columns from `column` on of eight rows, whose first is row `at` of those that were rounded.
const global rounded_rows *rows_at(const global float *x, int at, int column, int columns) {
  return (const global rounded_rows *)x + (long)(at / 8) * (columns / 32) + column / 32;
}

/// `sum` with that of a group: a multiply-add for the scales, and one for the minimum and the sum of the codes.
float scaled_sum(float part, float scale, float factor, float minimum, float codes_sum, float sum) {
  sum = fma(part, scale * factor, sum);
  return HAS_MINIMUM ? fma(minimum, codes_sum, sum) : sum;
}
