// q4_k: blocks of 144 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 4 x 32 bytes; byte i of 32 holds a code of one group of 32 low and
// of the next high. value = d * s * q - dmin * m.
float8 decode_q4_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 144;
  int group = column % 256 / 32;
  int2 affine = affine_group(block + 4, group);
  uchar8 codes = vload8(0, block + 16 + 32 * (group / 2) + column % 32) >> (uchar)(4 * (group % 2)) & (uchar)15;
  return half_at(block, 0) * affine.x * convert_float8(codes) - half_at(block, 1) * affine.y;
}
