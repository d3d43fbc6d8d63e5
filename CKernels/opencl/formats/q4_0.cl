// q4_0: blocks of 18 bytes: f16 scale, 16 bytes; byte i holds code i low and code i + 16 high.
float2 scale_q4_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 32 * 18, 0), 0); }
#define levels_q4_0(words) less_##words(halves_##words(block + 2, column), 8)
PLANES(q4_0, 32, 18)
LEVELS(q4_0, -8, 7, 32, false)
