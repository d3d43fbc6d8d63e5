// q5_1: blocks of 24 bytes: f16 scale, f16 minimum, 32 fifth bits, 16 bytes; byte i holds the low four bits of code i low and of code i + 16 high.
float2 scale_q5_1(const global uchar *row, int column) { return halves_at(row + column / 32 * 24, 0); }
char8 octet_q5_1(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 24;
  return as_char8(codes_of_32(block + 8, column) | bits_of(block[4 + column % 32 / 8], 4));
}
LEVELS(q5_1, 0, 31, 32, true)
QUADS(q5_1)
