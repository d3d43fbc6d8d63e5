// Panels of levels as floats, whose products with codes, summed over a group of columns, are exact.

/// Four columns of 16 weight rows.
typedef struct { float16 columns[4]; } panel_quad;

/// Sums of 16 weight rows.
typedef float16 part_sums;
#define float_sums(sums) (sums)

void put_quad(panel_quad *target, uint16 levels) {
  UNROLLED for (int k = 0; k < 4; k++) target->columns[k] = column_of_quads(levels, k);
}

/// Sums of one group for COUNT rows from `codes` on.
#define MULTIPLY_GROUP(COUNT, panel, codes, sums, low, high)                                                                        \
  /* In memory first, where multiply-adds take them from. */                                                                        \
  float values[8 * GROUP];                                                                                                          \
  for (int q = 0; q < GROUP / 4; q++) {                                                                                             \
    const global char *quads = (const global char *)codes[q];                                                                       \
    vstore16(convert_float16(vload16(0, quads)), 2 * q, values), vstore16(convert_float16(vload16(1, quads)), 2 * q + 1, values);   \
  }                                                                                                                                 \
  UNROLLED for (int i = 0; i < COUNT; i++) low[i] = high[i] = 0;                                                                    \
  for (int q = 0; q < GROUP / 4; q++) {                                                                                             \
    UNROLLED for (int k = 0; k < 4; k++) {                                                                                          \
      UNROLLED for (int i = 0; i < COUNT; i++) {                                                                                    \
        const float16 value = values[32 * q + 4 * i + k];                                                                           \
        low[i] = multiply_add(panel[2 * q].columns[k], value, low[i]), high[i] = multiply_add(panel[2 * q + 1].columns[k], value, high[i]); \
      }                                                                                                                             \
    }                                                                                                                               \
  }
