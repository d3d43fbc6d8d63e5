// q5_k: blocks of 176 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 32 bytes of fifth bits, 4 x 32 bytes as in q4_k. Bit g of byte i is
// that of code i of group g. value = d * s * q - dmin * m.
float2 scale_q5_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 176;
  return halves_at(block, 0) * affine_group(block + 4, column % 256 / 32);
}
#define levels_q5_k(words) plane_##words(block + 48, 4, 32, column) | plane_##words(block + 16, 1, 32, column) << 4
PLANES(q5_k, 256, 176)
LEVELS(q5_k, 0, 31, 32, true)
