// Weight matrices of the experts in one buffer, and the values of eight columns of a row.

/// Byte offsets of one matrix in the buffers of codes and of planes; `zeros` is negative where there are none. The host writes the same.
typedef struct {
  long codes, row_bytes, scales, scale_stride, zeros;
  int group, group_rows;
  float global_scale;
  int padding;
} matrix;

float scale_f32(const global uchar *p, long i) { return ((const global float *)p)[i]; }
float scale_f16(const global uchar *p, long i) { return vload_half(i, (const global half *)p); }
float scale_bf16(const global uchar *p, long i) { return as_float((uint)((const global ushort *)p)[i] << 16); }
float scale_e4m3(const global uchar *p, long i) { return float_of_e4m3((uchar8)p[i]).s0; }
float scale_e8m0(const global uchar *p, long i) { return p[i] == 255 ? NAN : as_float(p[i] ? (uint)p[i] << 23 : 0x00400000u); }

/// Weights [row][column ... column + 7]; column is a multiple of 8.
float8 weights_at(const global matrix *m, const global uchar *codes, const global uchar *planes, int row, int column) {
  float8 values = JOIN(decode_, FORMAT)(codes + m->codes + row * m->row_bytes, column);
#ifdef SCALES
  long index = row / m->group_rows * m->scale_stride + column / m->group;
  if (m->zeros >= 0) values -= (float)planes[m->zeros + index];
  values *= JOIN(scale_, SCALES)(planes + m->scales, index) * m->global_scale;
#endif
  return values;
}
