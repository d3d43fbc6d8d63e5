// iq4_xs: blocks of 136 bytes: f16 d, u16 of the high two scale bits, 4 bytes of the low four, 8 x 16 bytes as in iq4_nl.
// value = d * (s - 32) * level.
float2 scale_iq4_xs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 136;
  int group = column % 256 / 32, s = (block[4 + group / 2] >> 4 * (group % 2) & 15) | (short_at(block + 2) >> 2 * group & 3) << 4;
  return (float2)(half_at(block, 0) * (s - 32), 0);
}
char8 octet_iq4_xs(const global uchar *row, int column) {
  return iq4_levels_of(codes_of_32(row + column / 256 * 136 + 8 + column % 256 / 32 * 16, column));
}
LEVELS(iq4_xs, -127, 113, 32, false)
QUADS(iq4_xs)
