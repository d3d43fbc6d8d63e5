// nvfp4: blocks of 36 bytes: 4 unsigned E4M3 scales, 4 x 8 bytes; byte i of 8 holds the E2M1 code i low and code i + 8 high.
float8 decode_nvfp4(const global uchar *row, int column) {
  const global uchar *block = row + column / 64 * 36;
  int group = column % 64 / 16;
  return half_of_ue4m3(block[group]) * twice_e2m1(vload8(0, block + 4 + 8 * group) >> (uchar)(column & 8 ? 4 : 0) & (uchar)15);
}
