// Weight matrices of the experts in one buffer, and the values of eight columns of a row.

/// Byte offsets of one matrix in the buffers of codes and of planes; `zeros` and `groups` are negative where there are none. The host writes the
/// same. Columns of group g share scale row / group_rows * scale_stride + g: g is column / group, or what `groups` has for the column.
typedef struct {
  long codes, row_bytes, scales, scale_stride, zeros, groups;
  int group, group_rows, columns, kind, flags;
  float global_scale;
} matrix;

/// Bits of `flags`: groups run on from row to row; eight columns may have several scales.
enum { FLAT = 1, APART = 2 };

float scale_f32(const global uchar *p, long i) { return ((const global float *)p)[i]; }
float scale_f16(const global uchar *p, long i) { return half_at(p, i); }
float scale_bf16(const global uchar *p, long i) { return as_float((uint)((const global ushort *)p)[i] << 16); }
float scale_e4m3(const global uchar *p, long i) { return float_of_e4m3((uchar8)p[i]).s0; }
float scale_e8m0(const global uchar *p, long i) { return p[i] == 255 ? NAN : as_float(p[i] ? (uint)p[i] << 23 : 0x00400000u); }

/// Index of a scale; columns behind the last have its own.
long scale_index(const global matrix *m, const global uchar *planes, int row, int column) {
  column = min(column, m->columns - 1);
  if (m->flags & FLAT) return ((long)row * m->columns + column) / m->group;
  const int group = m->groups < 0 ? column / m->group : ((const global int *)(planes + m->groups))[column];
  return row / m->group_rows * m->scale_stride + group;
}

float zero_at(const global matrix *m, const global uchar *planes, long index) { return m->zeros < 0 ? 0 : planes[m->zeros + index]; }

/// (code - zero) * scale for scales of one type, or the values of formats that hold their own.
#define SCALED(type)                                                                                                        \
  float8 scaled_##type(float8 codes, const global matrix *m, const global uchar *planes, int row, int column) {             \
    if (m->flags & APART) {                                                                                                 \
      float zeros[8], scales[8];                                                                                            \
      for (int i = 0; i < 8; i++) {                                                                                         \
        const long index = scale_index(m, planes, row, column + i);                                                         \
        zeros[i] = zero_at(m, planes, index), scales[i] = scale_##type(planes + m->scales, index);                          \
      }                                                                                                                     \
      return (codes - vload8(0, zeros)) * (vload8(0, scales) * m->global_scale);                                            \
    }                                                                                                                       \
    const long index = scale_index(m, planes, row, column);                                                                 \
    return (codes - zero_at(m, planes, index)) * (scale_##type(planes + m->scales, index) * m->global_scale);               \
  }
SCALED(f32)
SCALED(f16)
SCALED(bf16)
SCALED(e4m3)
SCALED(e8m0)
float8 scaled_none(float8 values, const global matrix *m, const global uchar *planes, int row, int column) { return values; }
/// Formats that hold their own scales, times the factor of the matrix.
float8 scaled_factor(float8 values, const global matrix *m, const global uchar *planes, int row, int column) { return values * m->global_scale; }

/// Weights [row][column ... column + 7]; column is a multiple of 8. A program reads one kind of matrix, a FORMAT with SCALES, or several KINDS.
float8 weights_at(const global matrix *m, const global uchar *codes, const global uchar *planes, int row, int column) {
  const global uchar *line = codes + m->codes + row * m->row_bytes;
#define KIND(number, format, scales) case number: return scaled_##scales(decode_##format(line, column), m, planes, row, column);
#ifdef KINDS
  switch (m->kind) { KINDS }
  return 0;
#else
  return JOIN(scaled_, SCALES)(JOIN(decode_, FORMAT)(line, column), m, planes, row, column);
#endif
}
