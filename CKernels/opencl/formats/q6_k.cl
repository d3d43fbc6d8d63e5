// q6_k: blocks of 210 bytes: 128 bytes of low four bits, 64 bytes of high two, 16 int8 scales, f16 d. value = d * s * (q - 32); the places of
// the bits are in formats/q6_k.h.
float2 scale_q6_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 210;
  return (float2)(half_at(block, 104) * as_char(block[192 + column % 256 / 16]), 0);
}
#define levels_q6_k(words) less_##words(plane_##words(block, 4, 64, column) | plane_##words(block + 128, 2, 32, column) << 4, 32)
PLANES(q6_k, 256, 210)
LEVELS(q6_k, -32, 31, 16, false)
