// f8_e4m3: FP8 with four exponent bits; scales lie beside.
float8 decode_f8_e4m3(const global uchar *row, int column) { return float_of_e4m3(vload8(0, row + column)); }
