// nvfp4: blocks of 36 bytes: 4 unsigned E4M3 scales, 4 x 8 bytes; byte i of 8 holds the E2M1 code i low and code i + 8 high.
float2 scale_nvfp4(const global uchar *row, int column) { return (float2)(half_of_ue4m3(row[column / 64 * 36 + column % 64 / 16]), 0); }
char8 octet_nvfp4(const global uchar *row, int column) {
  const global uchar *codes = row + column / 64 * 36 + 4 + column % 64 / 16 * 8;
  return twice_e2m1(vload8(0, codes) >> (uchar)(column & 8 ? 4 : 0) & (uchar)15);
}
LEVELS(nvfp4, -12, 12, 16, false)
QUADS(nvfp4)
