// iq4_nl: 32 four-bit codes of 16 uneven levels and their scale; value = d * level.
//
// Block of 18 bytes: f16 d, then 16 bytes; byte i holds code i low and code i + 16 high.
#pragma once
#include "bits.h"

FORMAT void widen_iq4(const uint8_t *restrict bytes, float scale, float *restrict out) {
  for (int i = 0; i < 16; i++) out[i] = scale * (float)iq4_levels[bytes[i] & 15];
  for (int i = 0; i < 16; i++) out[16 + i] = scale * (float)iq4_levels[bytes[i] >> 4];
}

FORMAT void decode_iq4_nl(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 18, out += 32) widen_iq4(block + 2, load_f16(block), out);
}

FORMAT int nearest_iq4(float v) {
  int code = 0;
  for (int i = 0; i < 15; i++) code += v > 0.5f * (float)(iq4_levels[i] + iq4_levels[i + 1]);
  return code;
}

/// Tries peaks near both ends of the levels and keeps the scale of least squared error.
FORMAT void encode_iq4_nl(const float *restrict values, int64_t count, void *restrict blocks) {
#pragma STDC FP_CONTRACT OFF
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 18, values += 32) {
    float x[32];
    for (int i = 0; i < 32; i++) x[i] = bounded(values[i], 2e6f);
    float peak = peak_of(x, 32), best = 0, d = 0;
    for (int trial = 0; trial < 40 && peak != 0; trial++) {
      float inverse = (trial % 2 ? -1 : 1) * (float)(90 + 2 * trial) / peak, dot = 0, square = 0;
      for (int i = 0; i < 32; i++) {
        float level = (float)iq4_levels[nearest_iq4(x[i] * inverse)];
        dot += level * x[i];
        square += level * level;
      }
      if (dot * dot > best * square) best = dot * dot / square, d = dot / square;
    }
    uint16_t rounded = f16_of_float(d);
    float inverse = inverse_of(float_of_f16(rounded));
    store_u16(block, rounded);
    for (int i = 0; i < 16; i++) block[2 + i] = (uint8_t)(nearest_iq4(x[i] * inverse) | nearest_iq4(x[16 + i] * inverse) << 4);
  }
}

FORMAT void codes_iq4_nl(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block);
  unpack_nibbles(block + 2, codes);
}
