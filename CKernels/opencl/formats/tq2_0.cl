// tq2_0: blocks of 66 bytes: 64 bytes of two-bit codes, f16 scale; value = d * (t - 1).
float2 scale_tq2_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 256 * 66, 32), 0); }
char8 octet_tq2_0(const global uchar *row, int column) { return as_char8(codes_of_pairs(row + column / 256 * 66, column)) - (char)1; }
LEVELS(tq2_0, -1, 2, 32, false)
QUADS(tq2_0)
