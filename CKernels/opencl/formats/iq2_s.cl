// iq2_s: blocks of 82 bytes: f16 d, 32 bytes of low index bits, 32 of signs, 8 of the two high index bits, 8 of scales.
// value = d * (s + 1/2) / 4 * level.
float2 scale_iq2_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 82;
  int group = column % 256 / 16;
  return (float2)(0.125f * half_at(block, 0) * (2 * (block[74 + group / 2] >> 4 * (group % 2) & 15) + 1), 0);
}
char8 octet_iq2_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 82;
  int octet = column % 256 / 8;
  return iq2_levels(iq2_s_grid[block[2 + octet] | (block[66 + octet / 4] >> 2 * (octet % 4) & 3) << 8], block[34 + octet]);
}
LEVELS(iq2_s, -43, 43, 16, false)
QUADS(iq2_s)
