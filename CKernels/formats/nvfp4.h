// nvfp4: 64 FP4 E2M1 codes, 4 groups with FP8 E4M3 scales; value = scale * q, times the factor of the matrix.
//
// Block of 36 bytes: 4 unsigned E4M3 scales (0x7f counts as 0; bit 7 changes only that), then 4 x 8 bytes; byte i of a group of 16
// holds code i low and code i + 8 high.
#pragma once
#include "bits.h"

/// A scale as half_of_ue4m3 takes it.
FORMAT uint8_t nvfp4_scale(uint8_t code) { return code == 0x7f ? 0 : code & 0x7f; }

FORMAT void decode_nvfp4(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 64, block += 36)
    for (int g = 0; g < 4; g++, out += 16) {
      float step = half_of_ue4m3(nvfp4_scale(block[g])) * scale;
      const uint8_t *q = block + 4 + 8 * g;
      for (int i = 0; i < 8; i++) out[i] = step * (float)twice_e2m1(q[i] & 15);
      for (int i = 0; i < 8; i++) out[8 + i] = step * (float)twice_e2m1(q[i] >> 4);
    }
}

/// The codes of 16 values at one scale; the squared error.
FORMAT float nvfp4_codes(const float *x, uint8_t scale, uint8_t *q) {
#pragma STDC FP_CONTRACT OFF
  float step = 2 * half_of_ue4m3(scale), inverse = inverse_of(step), sum = 0;
  for (int i = 0; i < 16; i++) {
    q[i] = e2m1_of_float(x[i] * inverse);
    float error = step * float_of_e2m1(q[i]) - x[i];
    sum += error * error;
  }
  return sum;
}

/// The scale of least squared error among those that put the largest value near 6 or near 4. NaN counts as 0; magnitudes
/// beyond 2688, which the format cannot hold, are cut off.
FORMAT void encode_nvfp4(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 64, block += 36)
    for (int g = 0; g < 4; g++, values += 16) {
      float x[16], best = INFINITY;
      uint8_t q[16];
      for (int i = 0; i < 16; i++) x[i] = bounded(values[i], 2688);
      float largest = fabsf(peak_of(x, 16));
      int first = 0x7e, last = 0, chosen = 0;
      while (first > 0 && float_of_e4m3((uint8_t)first) * 6.5f > largest) first--;
      while (last < 0x7e && float_of_e4m3((uint8_t)last) * 3.7f < largest) last++;
      for (int code = first; code <= last; code++) {
        float error = nvfp4_codes(x, (uint8_t)code, q);
        if (error < best) best = error, chosen = code;
      }
      nvfp4_codes(x, (uint8_t)chosen, q);
      block[g] = (uint8_t)chosen;
      for (int i = 0; i < 8; i++) block[4 + 8 * g + i] = (uint8_t)(q[i] | q[8 + i] << 4);
    }
}

FORMAT void codes_nvfp4(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  for (int g = 0; g < 4; g++) {
    const uint8_t *q = block + 4 + 8 * g;
    lines[g * CODE_ROWS + row] = nvfp4_scale(block[g]);
    for (int i = 0; i < 8; i++) codes[16 * g + i] = q[i] & 15, codes[16 * g + 8 + i] = q[i] >> 4;
  }
}
