// f16: IEEE half precision, little endian.
#pragma once
#include "bits.h"

FORMAT void decode_f16(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  for (int64_t i = 0; i < values; i++) out[i] = load_f16((const uint8_t *)blocks + 2 * i);
}

FORMAT void encode_f16(const float *restrict values, int64_t count, void *restrict blocks) {
  for (int64_t i = 0; i < count; i++) store_u16((uint8_t *)blocks + 2 * i, f16_of_float(values[i]));
}
