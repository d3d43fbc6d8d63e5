// tq2_0: blocks of 66 bytes: 64 bytes of two-bit codes, f16 scale; value = d * (t - 1).
float8 decode_tq2_0(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 66;
  return half_at(block, 32) * (convert_float8(codes_of_pairs(block, column)) - 1);
}
