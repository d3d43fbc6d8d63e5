// q5_1: blocks of 24 bytes: f16 scale, f16 minimum, 32 fifth bits, 16 bytes; byte i holds the low four bits of code i low and of code i + 16 high.
float2 scale_q5_1(const global uchar *row, int column) { return halves_at(row + column / 32 * 24, 0); }
#define levels_q5_1(words) halves_##words(block + 8, column) | bits_##words(block + 4, column) << 4
PLANES(q5_1, 32, 24)
LEVELS(q5_1, 0, 31, 32, true)
