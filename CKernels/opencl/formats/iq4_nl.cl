// iq4_nl: blocks of 18 bytes: f16 scale, 16 bytes; byte i holds code i low and code i + 16 high.
float2 scale_iq4_nl(const global uchar *row, int column) { return (float2)(half_at(row + column / 32 * 18, 0), 0); }
char8 octet_iq4_nl(const global uchar *row, int column) { return iq4_levels_of(codes_of_32(row + column / 32 * 18 + 2, column)); }
LEVELS(iq4_nl, -127, 113, 32, false)
QUADS(iq4_nl)
