// f32: IEEE single precision, little endian.
#pragma once
#include "bits.h"

FORMAT void decode_f32(const void *restrict blocks, int64_t values, float scale, float zero, float *restrict out) {
  memcpy(out, blocks, (size_t)values * 4);
}

FORMAT void encode_f32(const float *restrict values, int64_t count, void *restrict blocks) {
  memcpy(blocks, values, (size_t)count * 4);
}
