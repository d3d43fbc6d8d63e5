// q5_k: blocks of 176 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 32 bytes of fifth bits, 4 x 32 bytes as in q4_k. Bit g of byte i is
// that of code i of group g. value = d * s * q - dmin * m.
float2 scale_q5_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 176;
  return halves_at(block, 0) * affine_group(block + 4, column % 256 / 32);
}
char8 octet_q5_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 176;
  uchar8 fifth = vload8(0, block + 16 + column % 32) >> (uchar)(column % 256 / 32) & (uchar)1;
  return as_char8(codes_of_64(block + 48, column) | fifth << (uchar)4);
}
LEVELS(q5_k, 0, 31, 32, true)
QUADS(q5_k)
