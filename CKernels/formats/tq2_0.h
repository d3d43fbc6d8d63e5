// tq2_0: 256 ternary codes of two bits and their scale; value = d * (t - 1).
//
// Block of 66 bytes: 64 bytes of codes, f16 d. Bits 2 * k of byte 32 * h + i are the code of value 128 * h + 32 * k + i.
#pragma once
#include "bits.h"

FORMAT void decode_tq2_0(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 256, block += 66, out += 256) {
    float d = load_f16(block + 64);
    for (int k = 0; k < 8; k++)
      for (int i = 0; i < 32; i++) out[32 * k + i] = d * (float)((block[32 * (k / 4) + i] >> 2 * (k % 4) & 3) - 1);
  }
}

FORMAT void encode_tq2_0(const float *restrict values, int64_t count, void *restrict blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 256, block += 66, values += 256) {
    float d = fabsf(peak_of(values, 256)), inverse = inverse_of(d);
    for (int i = 0; i < 64; i++) {
      const float *v = values + 128 * (i / 32) + i % 32;
      int byte = 0;
      for (int k = 0; k < 4; k++) byte |= ternary_of_float(v[32 * k] * inverse) << 2 * k;
      block[i] = (uint8_t)byte;
    }
    store_u16(block + 64, f16_of_float(d));
  }
}

FORMAT void codes_tq2_0(const uint8_t *restrict block, uint8_t *restrict codes, uint8_t *lines, int row) {
  put_half(lines, row, block + 64);
  unpack_pairs(block, codes);
}
