// q4_0: blocks of 18 bytes: f16 scale, 16 bytes; byte i holds code i low and code i + 16 high.
float2 scale_q4_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 32 * 18, 0), 0); }
char8 octet_q4_0(const global uchar *row, int column) { return as_char8(codes_of_32(row + column / 32 * 18 + 2, column)) - (char)8; }
LEVELS(q4_0, -8, 7, 32, false)
QUADS(q4_0)
