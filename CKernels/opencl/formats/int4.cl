// int4: unsigned codes, two a byte, the first low; scales and zero points lie beside.
float8 decode_int4(const global uchar *row, int column) { return convert_float8(pairs_of_codes(row + column / 2)); }
