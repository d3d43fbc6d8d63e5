// bf16: the upper half of an f32.
float8 decode_bf16(const global uchar *row, int column) {
  return as_float8(convert_uint8(vload8(0, (const global ushort *)row + column)) << 16);
}
