// f8_e5m2: FP8 with five exponent bits; scales lie beside.
float8 decode_f8_e5m2(const global uchar *row, int column) { return float_of_e5m2(vload8(0, row + column)); }
