// q8_0: blocks of 34 bytes: f16 scale, 32 signed bytes.
float8 decode_q8_0(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 34;
  return convert_float8(as_char8(vload8(0, block + 2 + column % 32))) * half_at(block, 0);
}
