// mxfp4: 32 FP4 E2M1 codes and a power of two; value = 2^(e - 127) * q.
//
// Block of 17 bytes: E8M0 exponent e, then 16 bytes; byte i holds code i low and code i + 16 high.
#pragma once
#include "bits.h"

FORMAT void decode_mxfp4(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 17, out += 32) {
    float d = half_of_e8m0(block[0]);
    for (int i = 0; i < 16; i++) out[i] = d * (float)twice_e2m1(block[1 + i] & 15);
    for (int i = 0; i < 16; i++) out[16 + i] = d * (float)twice_e2m1(block[1 + i] >> 4);
  }
}

/// The code nearest to v in steps of d, the first of equally near ones.
FORMAT int nearest_mxfp4(float v, float d) {
#pragma STDC FP_CONTRACT OFF
  int best = 0;
  float error = fabsf(v);
  for (int code = 1; code < 16; code++) {
    float e = fabsf(d * (float)twice_e2m1((uint8_t)code) - v);
    best = e < error ? code : best;
    error = e < error ? e : error;
  }
  return best;
}

/// The exponent is floor(log2(largest)) - 2, with the logarithm rounded to f32.
FORMAT void encode_mxfp4(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 17, values += 32) {
    float largest = fabsf(peak_of(values, 32));
    int e = largest > 0 ? code_of_float(floorf((float)log2(largest)) + 125, 254) : 0;
    float d = half_of_e8m0((uint8_t)e);
    block[0] = (uint8_t)e;
    for (int i = 0; i < 16; i++) block[1 + i] = (uint8_t)(nearest_mxfp4(values[i], d) | nearest_mxfp4(values[16 + i], d) << 4);
  }
}

FORMAT void codes_mxfp4(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  lines[row] = block[0];
  unpack_nibbles(block + 1, codes);
}
