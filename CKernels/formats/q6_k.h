// q6_k: 256 six-bit codes, 16 groups with 8-bit scales; value = d * s * (q - 32).
//
// Block of 210 bytes: 128 bytes of low four bits, 64 bytes of high two, 16 int8 scales s, f16 d. Group g has 16 values;
// with h = g / 8 its low bits are nibble g / 4 % 2 of the 16 bytes from 64 * h + 16 * (g % 4), its high bits are bits
// 2 * (g / 2 % 4) of the 16 bytes from 128 + 32 * h + 16 * (g % 2).
#pragma once
#include "bits.h"

FORMAT void decode_q6_k(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 210, out += 256) {
    float d = load_f16(block + 208);
    for (int g = 0; g < 16; g++) {
      float step = d * (float)(int8_t)block[192 + g];
      const uint8_t *low = block + 64 * (g / 8) + 16 * (g % 4), *high = block + 128 + 32 * (g / 8) + 16 * (g % 2);
      int low_shift = 4 * (g / 4 % 2), high_shift = 2 * (g / 2 % 4);
      for (int i = 0; i < 16; i++)
        out[16 * g + i] = step * (float)(((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4) - 32);
    }
  }
}

/// Codes 0 ... 63 of 16 values for value = scale * (q - 32); the squared error, summed in eight lanes.
FORMAT float q6_k_codes(const float *restrict x, float scale, uint8_t *restrict q) {
#pragma STDC FP_CONTRACT OFF
  float inverse = inverse_of(scale), squares[16], lanes[8];
  AS_VECTORS
  for (int i = 0; i < 16; i++) {
    float v = x[i] * inverse + 32.5f;
    v = v > 0 ? v : 0;
    int code = (int)(v < 63 ? v : 63);
    float error = scale * (float)(code - 32) - x[i];
    q[i] = (uint8_t)code;
    squares[i] = error * error;
  }
  for (int j = 0; j < 8; j++) lanes[j] = squares[j] + squares[8 + j];
  return sum_of_lanes(lanes);
}

/// The scale of least squared error over several step widths, each improved by least squares at its codes.
FORMAT float fit_q6_k(const float *x) {
#pragma STDC FP_CONTRACT OFF
  float peak = peak_of(x, 16), best = INFINITY, scale = 0;
  for (int trial = 0; trial < 12 && peak != 0; trial++) {
    float s = -peak / (29.6f + 0.35f * (float)trial);
    uint8_t q[16];
    for (int round = 0; round < 2; round++) {
      float error = q6_k_codes(x, s, q), products[8] = {0};
      if (error < best) best = error, scale = s;
      int squares = 0;
      for (int i = 0; i < 16; i++) squares += (q[i] - 32) * (q[i] - 32);
      for (int j = 0; j < 8; j++) products[j] = x[j] * (float)(q[j] - 32) + x[8 + j] * (float)(q[8 + j] - 32);
      if (squares == 0) break;
      s = sum_of_lanes(products) / (float)squares;
    }
  }
  return scale;
}

/// NaN counts as 0; magnitudes beyond 2e6 are cut off.
FORMAT void encode_q6_k(const float *restrict values, int64_t count, void *restrict blocks) {
#pragma STDC FP_CONTRACT OFF
  uint8_t *block = blocks;
  for (; count > 0; count -= 256, block += 210, values += 256) {
    float x[256], scales[16];
    uint8_t q[256];
    for (int i = 0; i < 256; i++) x[i] = bounded(values[i], 2e6f);
    for (int g = 0; g < 16; g++) scales[g] = fit_q6_k(x + 16 * g);
    store_u16(block + 208, f16_of_float(peak_of(scales, 16) / -128));
    float d = load_f16(block + 208), inverse = inverse_of(d);
    for (int g = 0; g < 16; g++) {
      int s = code_of_float(scales[g] * inverse + 128.5f, 255) - 128, best_s = 0;
      float best = INFINITY;
      for (int near_s = s > -128 ? s - 1 : s; near_s <= s + 1 && near_s < 128; near_s++) {
        float error = q6_k_codes(x + 16 * g, d * (float)near_s, q + 16 * g);
        if (error < best) best = error, best_s = near_s;
      }
      block[192 + g] = (uint8_t)(int8_t)best_s;
      q6_k_codes(x + 16 * g, d * (float)best_s, q + 16 * g);
    }
    for (int i = 0; i < 128; i++) {
      const uint8_t *code = q + 128 * (i / 64) + i % 64;
      block[i] = (uint8_t)((code[0] & 15) | (code[64] & 15) << 4);
    }
    for (int i = 0; i < 64; i++) {
      const uint8_t *code = q + 128 * (i / 32) + i % 32;
      block[128 + i] = (uint8_t)(code[0] >> 4 | code[32] >> 4 << 2 | code[64] >> 4 << 4 | code[96] >> 4 << 6);
    }
  }
}

FORMAT void codes_q6_k(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block + 208);
  for (int g = 0; g < 16; g++) lines[HALF_LINE + g * CODE_ROWS + row] = block[192 + g];
  for (int h = 0; h < 2; h++)
#pragma clang loop unroll(full)
    for (int part = 0; part < 4; part++) {
      const uint8_t *low = block + 64 * h + 32 * (part % 2), *high = block + 128 + 32 * h;
      uint8_t *out = codes + 128 * h + 32 * part;
      int low_shift = 4 * (part / 2), high_shift = 2 * part;
      AS_VECTORS
      for (int i = 0; i < 32; i++) out[i] = (uint8_t)((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4);
    }
}
