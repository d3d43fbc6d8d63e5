// q4_k: blocks of 144 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 4 x 32 bytes; byte i of 32 holds a code of one group of 32 low and
// of the next high. value = d * s * q - dmin * m.
float2 scale_q4_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 144;
  return halves_at(block, 0) * affine_group(block + 4, column % 256 / 32);
}
#define levels_q4_k(words) plane_##words(block + 16, 4, 32, column)
PLANES(q4_k, 256, 144)
LEVELS(q4_k, 0, 15, 32, true)
