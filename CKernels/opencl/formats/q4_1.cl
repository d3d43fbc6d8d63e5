// q4_1: blocks of 20 bytes: f16 scale, f16 minimum, 16 bytes; byte i holds code i low and code i + 16 high.
float2 scale_q4_1(const global uchar *row, int column) { return halves_at(row + column / 32 * 20, 0); }
char8 octet_q4_1(const global uchar *row, int column) { return as_char8(codes_of_32(row + column / 32 * 20 + 4, column)); }
LEVELS(q4_1, 0, 15, 32, true)
QUADS(q4_1)
