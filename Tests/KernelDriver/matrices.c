// Random matrices of every format and every arrangement of scales.
#include "driver.h"

static const arrangement none = {.name = "", .global = 1};
static const arrangement f8_arrangements[] = {
    {"row f32", MOE_SCALE_F32, 0, 1, false, false, false, 1},
    {"block bf16", MOE_SCALE_BF16, 16, 8, false, false, false, 1},
    {"odd block f32", MOE_SCALE_F32, 11, 3, false, false, false, 1},
    {"wide block f32, NaN", MOE_SCALE_F32, 64, 12, false, false, true, 1},
    {"blocks of 128, bf16, global", MOE_SCALE_BF16, 128, 128, false, false, false, 0.37f},
    {"one scale", MOE_SCALE_NONE, 0, 1, false, false, false, 3},
};
static const arrangement int4_arrangements[] = {
    {"f16, zeros", MOE_SCALE_F16, 16, 1, false, true, false, 1},
    {"f32, zeros", MOE_SCALE_F32, 32, 1, false, true, false, 1},
    {"f16, zeros, global", MOE_SCALE_F16, 128, 1, false, true, false, 0.37f},
    {"bf16", MOE_SCALE_BF16, 64, 1, false, false, false, 1},
    {"row f32, zeros", MOE_SCALE_F32, 0, 1, false, true, false, 1},
};
static const arrangement nf4_arrangements[] = {{"flat f32", MOE_SCALE_F32, 64, 1, true, false, false, 1}};
static const arrangement e2m1_arrangements[] = {
    {"e8m0", MOE_SCALE_E8M0, 32, 1, false, false, false, 1},
    {"e8m0, extremes", MOE_SCALE_E8M0, 32, 1, false, false, true, 1},
    {"e4m3, global", MOE_SCALE_E4M3, 16, 1, false, false, false, 0.37f},
    {"e4m3, any code, global below 0", MOE_SCALE_E4M3, 16, 1, false, false, true, -0x1.9p-40f},
    {"e4m3, global too small for panels", MOE_SCALE_E4M3, 16, 1, false, false, false, 0x1p-70f},
};

#define AT(list, index) ((index) < (int)(sizeof list / sizeof *list) ? &list[index] : NULL)
const arrangement *arrangement_at(const moe_format *format, int index) {
  if (!strncmp(format->name, "f8_", 3)) return AT(f8_arrangements, index);
  if (!strcmp(format->name, "int4")) return AT(int4_arrangements, index);
  if (!strcmp(format->name, "nf4")) return AT(nf4_arrangements, index);
  if (!strcmp(format->name, "e2m1")) return AT(e2m1_arrangements, index);
  return index ? NULL : &none;
}

static int64_t scale_width(moe_scale_type type) {
  switch (type) {
    case MOE_SCALE_NONE: return 0;
    case MOE_SCALE_F32: return 4;
    case MOE_SCALE_F16:
    case MOE_SCALE_BF16: return 2;
    default: return 1;
  }
}

/// One scale of moderate size, little-endian; with extremes also the ends of the exponents.
static void put_scale(const arrangement *scales, seeded *random, uint8_t *out) {
  static const uint8_t ends[] = {0, 1, 2, 120, 127, 255};
  float v = 0.01f + fabsf(next_float(random));
  switch (scales->type) {
    case MOE_SCALE_NONE: break;
    case MOE_SCALE_F32: memcpy(out, &v, 4); break;
    case MOE_SCALE_F16: out[0] = (uint8_t)next_below(random, 256), out[1] = (uint8_t)(0x28 + next_below(random, 24)); break;
    case MOE_SCALE_BF16: out[0] = (uint8_t)next_below(random, 256), out[1] = 0x3e; break;
    case MOE_SCALE_E4M3: *out = (uint8_t)(scales->has_extremes ? next_below(random, 256) : 0x20 + next_below(random, 48)); break;
    case MOE_SCALE_E8M0: *out = scales->has_extremes ? ends[next_below(random, sizeof ends)] : (uint8_t)(120 + next_below(random, 10)); break;
  }
}

/// Encoded random values, or random blocks of moderate value where the package cannot write the format.
static void fill_blocks(const moe_format *format, int64_t count, seeded *random, uint8_t *blocks) {
  int64_t size = format->block_values;
  if (format->encode) {
    float *values = malloc((size_t)count * sizeof *values);
    // Every third matrix is so small that half-precision scales are subnormal.
    float amplitude = !strcmp(format->name, "e2m1") ? 6 : format->scaled || next_below(random, 3) ? 1 : 0x1p-15f;
    fill_floats(random, values, count, amplitude);
    if (!strcmp(format->name, "int4"))
      for (int64_t i = 0; i < count; i++) values[i] = 15 * fabsf(values[i]);
    format->encode(values, count, blocks);
    free(values);
    return;
  }
  for (int64_t i = 0; i < count / size; i++, blocks += format->block_bytes)
    for (bool is_moderate = false; !is_moderate;) {
      float values[256], largest = 0;
      bool is_finite = true;
      for (int j = 0; j < format->block_bytes; j++) blocks[j] = (uint8_t)next_random(random);
      format->decode(blocks, size, 1, 0, values);
      for (int64_t j = 0; j < size; j++) is_finite &= fabsf(values[j]) <= 100, largest = fmaxf(largest, fabsf(values[j]));
      is_moderate = is_finite && largest > 1e-3f;
    }
}

matrix make_matrix(int32_t index, const arrangement *scales, int64_t columns, seeded *random) {
  const moe_format *format = moe_format_at(index);
  int64_t row_bytes = columns / format->block_values * format->block_bytes;
  matrix m = {.w = {.format = index, .rows = ROWS, .columns = columns, .row_bytes = row_bytes, .global_scale = scales->global}};
  m.data_bytes = ROWS * row_bytes;
  uint8_t *data = take_guarded(m.data_bytes);
  fill_blocks(format, ROWS * columns, random, data);
  if (scales->has_extremes && !strncmp(format->name, "f8_", 3)) data[3 * row_bytes + columns / 2] = 0x7f;
  m.w.data = data;
  if (scales->type != MOE_SCALE_NONE) {
    int64_t group = scales->group ? scales->group : columns, stride = scales->flat ? 0 : (columns + group - 1) / group;
    int64_t count = scales->flat ? (ROWS * columns + group - 1) / group : (ROWS + scales->group_rows - 1) / scales->group_rows * stride;
    int64_t width = scale_width(scales->type);
    m.scale_bytes = count * width;
    uint8_t *plane = take_guarded(m.scale_bytes), *zeros = scales->has_zeros ? take_guarded(count) : NULL;
    for (int64_t i = 0; i < count; i++) {
      put_scale(scales, random, plane + i * width);
      if (zeros) zeros[i] = (uint8_t)next_below(random, 17);
    }
    m.w.scale_type = scales->type, m.w.scales = plane, m.w.zeros = zeros, m.w.flat = scales->flat;
    m.w.group = group, m.w.group_rows = scales->group_rows, m.w.scale_stride = stride;
  }
  m.values = malloc((size_t)(ROWS * columns) * sizeof *m.values);
  for (int64_t r = 0; r < ROWS; r++) moe_matrix_decode(&m.w, r, 0, columns, m.values + r * columns);
  return m;
}

void free_matrix(matrix *m) {
  give_guarded((void *)m->w.data, m->data_bytes);
  if (m->w.scales) give_guarded((void *)m->w.scales, m->scale_bytes);
  if (m->w.zeros) give_guarded((void *)m->w.zeros, m->scale_bytes / scale_width(m->w.scale_type));
  free(m->values);
}
