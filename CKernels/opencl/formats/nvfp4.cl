// nvfp4: blocks of 36 bytes: 4 unsigned E4M3 scales, 4 x 8 bytes; byte i of 8 holds the E2M1 code i low and code i + 8 high.
float2 scale_nvfp4(const global uchar *row, int column) { return (float2)(half_of_ue4m3(row[column / 64 * 36 + column % 64 / 16]), 0); }

uint2 codes_uint2(const global uchar *p, int column) { return uint2_at(p + column % 64 / 16 * 8) >> (column & 8 ? 4u : 0u) & 0x0f0f0f0fu; }
uint8 codes_uint8(const global uchar *p, int column) {
  const uint4 pairs = as_uint4(vload16(0, p + column % 64 / 2));
  return (uint8)(pairs.lo, pairs.lo >> 4u, pairs.hi, pairs.hi >> 4u) & 0x0f0f0f0fu;
}
#define levels_nvfp4(words) twice_e2m1_##words(codes_##words(block + 4, column))
PLANES(nvfp4, 64, 36)
LEVELS(nvfp4, -12, 12, 16, false)
