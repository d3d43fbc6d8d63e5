// iq2_xxs: blocks of 66 bytes: f16 d, 8 x 8 bytes for 32 values: four grid indices, a word of four times seven signs and, on top, the scale s.
// value = d * (s + 1/2) / 4 * level.
float8 decode_iq2_xxs(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 66, *q = block + 2 + column % 256 / 32 * 8;
  int octet = column % 32 / 8;
  uint word = word_at(q + 4);
  return 0.125f * half_at(block, 0) * (2 * (word >> 28) + 1) * iq2_levels(iq2_xxs_grid[q[octet]], even_signs(word >> 7 * octet & 127));
}
