// iq1_m: blocks of 56 bytes: 32 bytes of low index bits, 16 bytes with a nibble an octet (three high index bits, the sign of the shift), 4 words of
// four 3-bit scales each, whose top nibbles are the f16 d. value = d * (2 s + 1) * (level +- 1/8).
float2 scale_iq1_m(const global uchar *row, int column) {
  const global uchar *p = row + column / 256 * 56 + 48;
  int group = column % 256 / 16;
  ushort d = p[1] >> 4 | (p[3] & 0xf0) | (p[5] & 0xf0) << 4 | (p[7] & 0xf0) << 8;
  return (float2)(0.125f * float_of_half(d) * (2 * (short_at(p + group / 4 * 2) >> 3 * (group % 4) & 7) + 1), 0);
}
char8 octet_iq1_m(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 56;
  int octet = column % 256 / 8;
  uint nibble = block[32 + octet / 2] >> 4 * (octet % 2);
  return iq1_levels(iq1_grid[block[octet] | (nibble & 7) << 8], nibble & 8);
}
LEVELS(iq1_m, -9, 9, 16, false)
QUADS(iq1_m)
