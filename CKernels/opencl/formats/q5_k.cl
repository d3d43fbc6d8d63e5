// q5_k: blocks of 176 bytes: f16 d and dmin, 12 bytes of 6-bit scales and minima, 32 bytes of fifth bits, 4 x 32 bytes as in q4_k. Bit g of byte i is
// that of code i of group g. value = d * s * q - dmin * m.
float8 decode_q5_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 176;
  int group = column % 256 / 32;
  int2 affine = affine_group(block + 4, group);
  uchar8 low = vload8(0, block + 48 + 32 * (group / 2) + column % 32) >> (uchar)(4 * (group % 2)) & (uchar)15;
  uchar8 fifth = vload8(0, block + 16 + column % 32) >> (uchar)group & (uchar)1;
  return half_at(block, 0) * affine.x * convert_float8(low | fifth << (uchar)4) - half_at(block, 1) * affine.y;
}
