// tq1_0: blocks of 54 bytes: 52 bytes of base-3 digits, f16 scale; value = d * (t - 1). Digit k of a byte b is the high byte of
// 3 * (b * 3^k mod 256); the places of the digits are in formats/tq1_0.h.
constant uchar powers_of_three[5] = {1, 3, 9, 27, 81};

float2 scale_tq1_0(const global uchar *row, int column) { return (float2)(half_at(row + column / 256 * 54, 26), 0); }
char8 octet_tq1_0(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 54;
  int c = column % 256;
  uchar8 digits;
  if (c < 240) {
    int first = c < 160 ? 0 : 160, width = c < 160 ? 32 : 16;
    digits = vload8(0, block + first / 5 + (c - first) % width) * powers_of_three[(c - first) / width];
  } else {
    uchar4 bytes = vload4(0, block + 48);
    digits = (uchar8)(bytes * powers_of_three[(c - 240) / 4], bytes * powers_of_three[(c - 240) / 4 + 1]);
  }
  return as_char8(mul_hi(digits, (uchar8)3)) - (char)1;
}
LEVELS(tq1_0, -1, 1, 32, false)
QUADS(tq1_0)
