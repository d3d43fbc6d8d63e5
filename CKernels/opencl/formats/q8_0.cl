// q8_0: blocks of 34 bytes: f16 scale, 32 signed bytes.
float2 scale_q8_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 32 * 34, 0), 0); }
char8 octet_q8_0(const global uchar *row, int column) { return as_char8(vload8(0, row + column / 32 * 34 + 2 + column % 32)); }
LEVELS(q8_0, -128, 127, 32, false)
QUADS(q8_0)
