// iq2_xxs: blocks of 66 bytes: f16 d, 8 x 8 bytes for 32 values: four grid indices, a word of four times seven signs and, on top, the scale s.
// value = d * (s + 1/2) / 4 * level.
float2 scale_iq2_xxs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 66;
  return (float2)(0.125f * half_at(block, 0) * (2 * (block[9 + column % 256 / 32 * 8] >> 4) + 1), 0);
}
char8 octet_iq2_xxs(const global uchar *row, int column) {
  const global uchar *q = row + column / 256 * 66 + 2 + column % 256 / 32 * 8;
  int octet = column % 32 / 8;
  return iq2_levels(iq2_xxs_grid[q[octet]], even_signs(word_at(q + 4) >> 7 * octet & 127));
}
LEVELS(iq2_xxs, -43, 43, 32, false)
QUADS(iq2_xxs)
