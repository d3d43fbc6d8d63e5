// iq2_s: blocks of 82 bytes: f16 d, 32 bytes of low index bits, 32 of signs, 8 of the two high index bits, 8 of scales.
// value = d * (s + 1/2) / 4 * level.
float8 decode_iq2_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 82;
  int octet = column % 256 / 8, s = block[74 + octet / 4] >> 4 * (octet / 2 % 2) & 15;
  uint entry = iq2_s_grid[block[2 + octet] | (block[66 + octet / 4] >> 2 * (octet % 4) & 3) << 8];
  return 0.125f * half_at(block, 0) * (2 * s + 1) * iq2_levels(entry, block[34 + octet]);
}
