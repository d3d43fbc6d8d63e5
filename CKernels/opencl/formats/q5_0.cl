// q5_0: blocks of 22 bytes: f16 scale, 32 fifth bits, 16 bytes; byte i holds the low four bits of code i low and of code i + 16 high.
float2 scale_q5_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 32 * 22, 0), 0); }
#define levels_q5_0(words) less_##words(halves_##words(block + 6, column) | bits_##words(block + 2, column) << 4, 16)
PLANES(q5_0, 32, 22)
LEVELS(q5_0, -16, 15, 32, false)
