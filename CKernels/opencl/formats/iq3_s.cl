// iq3_s: blocks of 110 bytes: f16 d, 64 bytes of low index bits, 8 of ninth index bits, 32 of signs, 4 of scales. value = d * (2 s + 1) * level.
float2 scale_iq3_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 110;
  int group = column % 256 / 32;
  return (float2)(half_at(block, 0) * (2 * (block[106 + group / 2] >> 4 * (group % 2) & 15) + 1), 0);
}
char8 octet_iq3_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 110;
  int octet = column % 256 / 8, ninth = block[66 + octet / 4] >> 2 * (octet % 4);
  uint first = iq3_s_grid[block[2 + 2 * octet] | (ninth & 1) << 8], second = iq3_s_grid[block[3 + 2 * octet] | (ninth & 2) << 7];
  return iq3_s_levels(first, second, block[74 + octet]);
}
LEVELS(iq3_s, -15, 15, 32, false)
QUADS(iq3_s)
