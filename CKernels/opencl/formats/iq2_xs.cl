// iq2_xs: blocks of 74 bytes: f16 d, 32 words of 9 bits of grid index and seven signs, 8 bytes of scales. value = d * (s + 1/2) / 4 * level.
float8 decode_iq2_xs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 74;
  int octet = column % 256 / 8, s = block[66 + octet / 4] >> 4 * (octet / 2 % 2) & 15;
  uint word = short_at(block + 2 + 2 * octet);
  return 0.125f * half_at(block, 0) * (2 * s + 1) * iq2_levels(iq2_xs_grid[word & 511], even_signs(word >> 9));
}
