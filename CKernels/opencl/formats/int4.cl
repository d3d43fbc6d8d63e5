// int4: unsigned codes, two a byte, the first low; scales and zero points lie beside.
float2 scale_int4(const global uchar *row, int column) { return (float2)(1, 0); }
char8 octet_int4(const global uchar *row, int column) { return as_char8(pairs_of_codes(row + column / 2)); }
LEVELS(int4, 0, 15, 32, true)
QUADS(int4)
