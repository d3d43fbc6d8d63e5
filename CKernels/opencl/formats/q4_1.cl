// q4_1: blocks of 20 bytes: f16 scale, f16 minimum, 16 bytes; byte i holds code i low and code i + 16 high.
float8 decode_q4_1(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 20;
  return half_at(block, 0) * convert_float8(codes_of_32(block + 4, column)) + half_at(block, 1);
}
