// q4_k: blocks of 144 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 4 x 32 bytes; byte i of 32 holds a code of one group of 32 low and
// of the next high. value = d * s * q - dmin * m; the places of s and m are in formats/affine_groups.h.
float8 decode_q4_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 144, *p = block + 4;
  int group = column % 256 / 32;
  int s = group < 4 ? p[group] & 63 : (p[4 + group] & 15) | p[group - 4] >> 6 << 4;
  int m = group < 4 ? p[4 + group] & 63 : p[4 + group] >> 4 | p[group] >> 6 << 4;
  float scale = vload_half(0, (const global half *)block) * s, minimum = vload_half(1, (const global half *)block) * m;
  uchar8 codes = vload8(0, block + 16 + 32 * (group / 2) + column % 32) >> (uchar)(4 * (group % 2)) & (uchar)15;
  return scale * convert_float8(codes) - minimum;
}
