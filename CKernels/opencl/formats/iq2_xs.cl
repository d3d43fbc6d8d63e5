// iq2_xs: blocks of 74 bytes: f16 d, 32 words of 9 bits of grid index and seven signs, 8 bytes of scales. value = d * (s + 1/2) / 4 * level.
float2 scale_iq2_xs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 74;
  int group = column % 256 / 16;
  return (float2)(0.125f * half_at(block, 0) * (2 * (block[66 + group / 2] >> 4 * (group % 2) & 15) + 1), 0);
}
char8 octet_iq2_xs(const global uchar *row, int column) {
  uint word = short_at(row + column / 256 * 74 + 2 + column % 256 / 8 * 2);
  return iq2_levels(iq2_xs_grid[word & 511], even_signs(word >> 9));
}
LEVELS(iq2_xs, -43, 43, 16, false)
QUADS(iq2_xs)
