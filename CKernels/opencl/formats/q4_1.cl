// q4_1: blocks of 20 bytes: f16 scale, f16 minimum, 16 bytes; byte i holds code i low and code i + 16 high.
float2 scale_q4_1(const global uchar *row, int column) { return halves_at(row + column / 32 * 20, 0); }
#define levels_q4_1(words) halves_##words(block + 4, column)
PLANES(q4_1, 32, 20)
LEVELS(q4_1, 0, 15, 32, true)
