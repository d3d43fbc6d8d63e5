// mxfp4: blocks of 17 bytes: E8M0 exponent, 16 bytes; byte i holds the E2M1 code i low and code i + 16 high.
float8 decode_mxfp4(const global uchar *row, int column) {
  const global uchar *block = row + column / 32 * 17;
  return half_of_e8m0(block[0]) * twice_e2m1(codes_of_32(block + 1, column));
}
