// q4_k: blocks of 144 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 4 x 32 bytes; byte i of 32 holds a code of one group of 32 low and
// of the next high. value = d * s * q - dmin * m.
float2 scale_q4_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 144;
  return halves_at(block, 0) * affine_group(block + 4, column % 256 / 32);
}
char8 octet_q4_k(const global uchar *row, int column) { return as_char8(codes_of_64(row + column / 256 * 144 + 16, column)); }
LEVELS(q4_k, 0, 15, 32, true)
QUADS(q4_k)
