// f32: IEEE single.
float8 decode_f32(const global uchar *row, int column) { return vload8(0, (const global float *)row + column); }
