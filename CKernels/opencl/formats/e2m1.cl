// e2m1: FP4 codes, two a byte, the first low; scales lie beside.
float2 scale_e2m1(const global uchar *row, int column) { return (float2)(0.5f, 0); }
char8 octet_e2m1(const global uchar *row, int column) { return twice_e2m1(pairs_of_codes(row + column / 2)); }
LEVELS(e2m1, -12, 12, 32, false)
QUADS(e2m1)
