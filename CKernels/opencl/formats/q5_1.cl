// q5_1: blocks of 24 bytes: f16 scale, f16 minimum, 32 fifth bits, 16 bytes; byte i holds the low four bits of code i low and of code i + 16 high.
float8 decode_q5_1(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 24;
  uchar8 codes = codes_of_32(block + 8, column) | bits_of(block[4 + column % 32 / 8], 4);
  return half_at(block, 0) * convert_float8(codes) + half_at(block, 1);
}
