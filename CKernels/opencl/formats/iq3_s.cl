// iq3_s: blocks of 110 bytes: f16 d, 64 bytes of low index bits, 8 of ninth index bits, 32 of signs, 4 of scales. value = d * (2 s + 1) * level.
float8 decode_iq3_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 110;
  int octet = column % 256 / 8, s = block[106 + octet / 8] >> 4 * (octet / 4 % 2) & 15, ninth = block[66 + octet / 4] >> 2 * (octet % 4);
  uint first = iq3_s_grid[block[2 + 2 * octet] | (ninth & 1) << 8], second = iq3_s_grid[block[3 + 2 * octet] | (ninth & 2) << 7];
  return half_at(block, 0) * (2 * s + 1) * iq3_s_levels(first, second, block[74 + octet]);
}
