// f16: IEEE half.
float8 decode_f16(const global uchar *row, int column) { return vload_half8(0, (const global half *)row + column); }
