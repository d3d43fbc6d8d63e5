// e2m1: FP4 codes, two a byte, the first low; scales lie beside, one for 16 columns where they are E4M3.
float2 scale_e2m1(const global uchar *row, int column) { return (float2)(0.5f, 0); }
#define levels_e2m1(words) twice_e2m1_##words(pairs_##words(block + column % 32 / 2))
PLANES(e2m1, 32, 16)
#define e4m3_for_16 1
#if JOIN(SCALES, _for_16)
LEVELS(e2m1, -12, 12, 16, false)
#else
LEVELS(e2m1, -12, 12, 32, false)
#endif
