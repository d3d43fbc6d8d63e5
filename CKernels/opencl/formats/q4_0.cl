// q4_0: blocks of 18 bytes: f16 scale, 16 bytes; byte i holds code i low and code i + 16 high.
float8 decode_q4_0(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 18;
  uchar8 codes = vload8(0, block + 2 + column % 16) >> (uchar)(column & 16 ? 4 : 0) & (uchar)15;
  return vload_half(0, (const global half *)block) * (convert_float8(codes) - 8);
}
