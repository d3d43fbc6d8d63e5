// f32: IEEE single precision, little endian.
#pragma once
#include "bits.h"

FORMAT void decode_f32(const void *blocks, int64_t values, float scale, float zero, float *out) { memcpy(out, blocks, (size_t)values * 4); }

FORMAT void encode_f32(const float *values, int64_t count, void *blocks) { memcpy(blocks, values, (size_t)count * 4); }
