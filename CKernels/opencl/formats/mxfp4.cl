// mxfp4: blocks of 17 bytes: E8M0 exponent, 16 bytes; byte i holds the E2M1 code i low and code i + 16 high.
float2 scale_mxfp4(const global uchar *row, int column) { return (float2)(half_of_e8m0(row[column / 32 * 17]), 0); }
char8 octet_mxfp4(const global uchar *row, int column) { return twice_e2m1(codes_of_32(row + column / 32 * 17 + 1, column)); }
LEVELS(mxfp4, -12, 12, 32, false)
QUADS(mxfp4)
