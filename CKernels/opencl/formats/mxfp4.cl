// mxfp4: blocks of 17 bytes: E8M0 exponent, 16 bytes; byte i holds the E2M1 code i low and code i + 16 high.
float2 scale_mxfp4(const global uchar *row, int column) { return (float2)(half_of_e8m0(row[column / 32 * 17]), 0); }
#define levels_mxfp4(words) twice_e2m1_##words(halves_##words(block + 1, column))
PLANES(mxfp4, 32, 17)
LEVELS(mxfp4, -12, 12, 32, false)
