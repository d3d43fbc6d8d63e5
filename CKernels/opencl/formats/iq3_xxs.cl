// iq3_xxs: blocks of 98 bytes: f16 d, 64 grid indices, 8 words of four times seven signs and, on top, the scale s. value = d * (s + 1/2) / 2 * level.
float2 scale_iq3_xxs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 98;
  return (float2)(0.125f * half_at(block, 0) * (4 * (block[69 + column % 256 / 32 * 4] >> 4) + 2), 0);
}
char8 octet_iq3_xxs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 98, *q = block + 2 + column % 256 / 4;
  uint signs = even_signs(word_at(block + 66 + column % 256 / 32 * 4) >> 7 * (column % 32 / 8) & 127);
  return iq3_xxs_levels(iq3_xxs_grid[q[0]], iq3_xxs_grid[q[1]], signs);
}
LEVELS(iq3_xxs, -62, 62, 32, false)
QUADS(iq3_xxs)
