// Reading a packed matrix: which scale and zero belong to a run of columns.
#pragma once
#include "CMoEKernels.h"
#include "bits.h"

FORMAT float scale_of(const moe_matrix *w, int64_t index) {
  float v = 1;
  switch (w->scale_type) {
    case MOE_SCALE_NONE: break;
    case MOE_SCALE_F32: v = float_of_bits(load_u32((const uint8_t *)w->scales + 4 * index)); break;
    case MOE_SCALE_F16: v = load_f16((const uint8_t *)w->scales + 2 * index); break;
    case MOE_SCALE_BF16: v = load_bf16((const uint8_t *)w->scales + 2 * index); break;
    case MOE_SCALE_E4M3: v = float_of_e4m3(((const uint8_t *)w->scales)[index]); break;
    case MOE_SCALE_E8M0: v = float_of_e8m0(((const uint8_t *)w->scales)[index]); break;
  }
  return v * w->global_scale;
}

typedef void (*decoder)(const void *, int64_t, float, float, float *);

/// Widens columns [column, column + count) of a row with `decode`, the format's or its like, one run of equal scale at a time.
FORMAT void decode_columns(const moe_matrix *w, const moe_format *format, decoder decode, int64_t row, int64_t column, int64_t count, float *out) {
  const uint8_t *data = (const uint8_t *)w->data + row * w->row_bytes;
  if (w->scale_type == MOE_SCALE_NONE) {
    decode(data + column / format->block_values * format->block_bytes, count, w->global_scale, 0, out);
    return;
  }
  int64_t base = w->flat ? row * w->columns : 0, first = w->flat ? 0 : row / w->group_rows * w->scale_stride;
  for (int64_t end = column + count; column < end;) {
    int64_t group = (base + column) / w->group, run = (group + 1) * w->group - base - column;
    if (run > end - column) run = end - column;
    int64_t index = first + group;
    float zero = w->zeros ? (float)w->zeros[index] : 0;
    decode(data + column / format->block_values * format->block_bytes, run, scale_of(w, index), zero, out);
    column += run, out += run;
  }
}
