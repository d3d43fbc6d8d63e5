// q5_0: blocks of 22 bytes: f16 scale, 32 fifth bits, 16 bytes; byte i holds the low four bits of code i low and of code i + 16 high.
float2 scale_q5_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 32 * 22, 0), 0); }
char8 octet_q5_0(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 22;
  return as_char8(codes_of_32(block + 6, column) | bits_of(block[2 + column % 32 / 8], 4)) - (char)16;
}
LEVELS(q5_0, -16, 15, 32, false)
QUADS(q5_0)
