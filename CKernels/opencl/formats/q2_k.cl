// q2_k: blocks of 84 bytes: 16 bytes (scale of a group of 16 low, minimum high), 64 bytes of codes, f16 d, f16 dmin.
// value = d * s * q - dmin * m.
float2 scale_q2_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 84;
  uchar group = block[column % 256 / 16];
  return halves_at(block, 40) * (float2)(group & 15, -(group >> 4));
}
#define levels_q2_k(words) plane_##words(block + 16, 2, 32, column)
PLANES(q2_k, 256, 84)
LEVELS(q2_k, 0, 3, 16, true)
