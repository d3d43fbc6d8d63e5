// q6_k: blocks of 210 bytes: 128 bytes of low four bits, 64 bytes of high two, 16 int8 scales, f16 d. value = d * s * (q - 32); the places of
// the bits are in formats/q6_k.h.
float2 scale_q6_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 210;
  return (float2)(half_at(block, 104) * as_char(block[192 + column % 256 / 16]), 0);
}
char8 octet_q6_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 210;
  int group = column % 256 / 16, half_block = group / 8, first = column % 16;
  uchar8 low = vload8(0, block + 64 * half_block + 16 * (group % 4) + first) >> (uchar)(4 * (group / 4 % 2)) & (uchar)15;
  uchar8 high = vload8(0, block + 128 + 32 * half_block + 16 * (group % 2) + first) >> (uchar)(2 * (group / 2 % 4)) & (uchar)3;
  return as_char8(low | high << (uchar)4) - (char)32;
}
LEVELS(q6_k, -32, 31, 16, false)
QUADS(q6_k)
