// q2_k: blocks of 84 bytes: 16 bytes (scale of a group of 16 low, minimum high), 64 bytes of codes, f16 d, f16 dmin.
// value = d * s * q - dmin * m.
float8 decode_q2_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 84;
  uchar group = block[column % 256 / 16];
  float scale = half_at(block, 40) * (group & 15), minimum = half_at(block, 41) * (group >> 4);
  return scale * convert_float8(codes_of_pairs(block + 16, column)) - minimum;
}
