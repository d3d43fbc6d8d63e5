// q5_0: blocks of 22 bytes: f16 scale, 32 fifth bits, 16 bytes; byte i holds the low four bits of code i low and of code i + 16 high.
float8 decode_q5_0(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 22;
  uchar8 codes = codes_of_32(block + 6, column) | bits_of(block[2 + column % 32 / 8], 4);
  return half_at(block, 0) * (convert_float8(codes) - 16);
}
