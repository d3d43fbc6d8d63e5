// tq2_0: blocks of 66 bytes: 64 bytes of two-bit codes, f16 scale; value = d * (t - 1).
float2 scale_tq2_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 256 * 66, 32), 0); }
#define levels_tq2_0(words) less_##words(plane_##words(block, 2, 32, column), 1)
PLANES(tq2_0, 256, 66)
LEVELS(tq2_0, -1, 2, 32, false)
