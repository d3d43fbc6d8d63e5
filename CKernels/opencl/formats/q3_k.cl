// q3_k: blocks of 110 bytes: 32 bytes of third bits, 64 bytes of low bits, 12 bytes of scales, f16 d. value = d * (s - 32) * (q - 4); the places
// of the bits are in formats/q3_k.h.
float2 scale_q3_k(const global uchar *row, int column) {
  const global uchar *block = row + column / 256 * 110, *scales = block + 96;
  int group = column % 256 / 16;
  int s = (scales[group % 8] >> 4 * (group / 8) & 15) | (scales[8 + group % 4] >> 2 * (group / 4) & 3) << 4;
  return (float2)(half_at(block, 54) * (s - 32), 0);
}
#define levels_q3_k(words) less_##words(plane_##words(block + 32, 2, 32, column) | plane_##words(block, 1, 32, column) << 2, 4)
PLANES(q3_k, 256, 110)
LEVELS(q3_k, -4, 3, 16, false)
