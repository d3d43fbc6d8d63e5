// bf16: the upper half of an f32.
float8 decode_bf16(const global uchar *row, int column) { return float_of_bf16(vload8(0, (const global ushort *)row + column)); }
