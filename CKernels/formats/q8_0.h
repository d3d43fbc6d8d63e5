// q8_0: 32 values a block: f16 scale d, then 32 signed bytes q; value = q * d.
#pragma once
#include "bits.h"

FORMAT void decode_q8_0(const void *blocks, int64_t values, float scale, float zero, float *out) {
  const uint8_t *block = blocks;
  for (; values > 0; values -= 32, block += 34, out += 32) {
    float d = load_f16(block);
    for (int i = 0; i < 32; i++) out[i] = (float)(int8_t)block[2 + i] * d;
  }
}

FORMAT void encode_q8_0(const float *values, int64_t count, void *blocks) {
  uint8_t *block = blocks;
  for (; count > 0; count -= 32, block += 34, values += 32) {
    float largest = 0;
    for (int i = 0; i < 32; i++) largest = fmaxf(largest, fabsf(values[i]));
    float d = largest / 127, inverse = d ? 1 / d : 0;
    store_u16(block, f16_of_float(d));
    for (int i = 0; i < 32; i++) block[2 + i] = (uint8_t)(int8_t)roundf(values[i] * inverse);
  }
}
