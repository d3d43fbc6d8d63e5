// e2m1: FP4 codes, two a byte, the first low; scales lie beside.
float8 decode_e2m1(const global uchar *row, int column) { return 0.5f * twice_e2m1(pairs_of_codes(row + column / 2)); }
