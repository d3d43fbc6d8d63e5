// iq4_nl: blocks of 18 bytes: f16 scale, 16 bytes; byte i holds code i low and code i + 16 high.
float8 decode_iq4_nl(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 18;
  return half_at(block, 0) * iq4_levels_of(codes_of_32(block + 2, column));
}
