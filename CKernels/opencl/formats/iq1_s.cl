// iq1_s: blocks of 50 bytes: f16 d, 32 bytes of low index bits, 8 words, one a 32 values: four times three high index bits, the scale s, and the sign
// of the shift. value = d * (2 s + 1) * (level +- 1/8).
float2 scale_iq1_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 50;
  return (float2)(0.125f * half_at(block, 0) * (2 * (block[35 + column % 256 / 32 * 2] >> 4 & 7) + 1), 0);
}
char8 octet_iq1_s(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 50;
  int octet = column % 256 / 8;
  uint word = short_at(block + 34 + octet / 4 * 2), entry = iq1_grid[block[2 + octet] | (word >> 3 * (octet % 4) & 7) << 8];
  return iq1_levels(entry, word >> 15);
}
LEVELS(iq1_s, -9, 9, 32, false)
QUADS(iq1_s)
