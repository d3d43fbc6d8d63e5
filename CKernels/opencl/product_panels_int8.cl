// The product of product_panels on int8 activations, as round_rows left them: the sums of a group of columns are exact integers, then one fused
// multiply-add follows for its scales and one for the minimum, group after group. The bits of the CPU's products.

/// Sums of `groups` groups of columns for COUNT rows, 32 weight rows each.
#define MULTIPLY_LEVELS(COUNT)                                                                                                          \
  void multiply_levels_##COUNT(                                                                                                         \
      const panel_quad *panel, const float16 *scales, const float16 *minima, const global rounded_rows *x, int groups, float16 *sums) { \
    for (int g = 0; g < groups; g++, panel += GROUP / 2, scales += 2, minima += 2) {                                                    \
      const global rounded_rows *rows = x + g / GROUPS;                                                                                 \
      part_sums low[COUNT], high[COUNT];                                                                                                \
      MULTIPLY_GROUP(COUNT, panel, (rows->codes + g % GROUPS * (GROUP / 4)), rows->sums[g % GROUPS], low, high)                         \
      UNROLLED for (int i = 0; i < COUNT; i++) {                                                                                        \
        const float16 factor = rows->scales[i];                                                                                         \
        float16 below = fma(float_sums(low[i]), scales[0] * factor, sums[2 * i]);                                                       \
        float16 above = fma(float_sums(high[i]), scales[1] * factor, sums[2 * i + 1]);                                                  \
        if (HAS_MINIMUM) {                                                                                                              \
          const float16 minimum = rows->scales[i] * (float)rows->sums[g % GROUPS][i];                                                   \
          below = fma(minima[0], minimum, below), above = fma(minima[1], minimum, above);                                               \
        }                                                                                                                               \
        sums[2 * i] = below, sums[2 * i + 1] = above;                                                                                   \
      }                                                                                                                                 \
    }                                                                                                                                   \
  }
MULTIPLY_LEVELS(8)
MULTIPLY_LEVELS(4)

/// Columns of a panel, so that it stays in the nearest cache with the rows that it meets.
enum { PANEL_COLUMNS = 128 };

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void product_panels_int8(PRODUCT_PARAMETERS, int segment) {
  const int first_row = get_group_id(0) * rows_of_group(flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  panel_quad panel[2 * PANEL_COLUMNS / 4];
  float16 scales[2 * PANEL_COLUMNS / GROUP], minima[2 * PANEL_COLUMNS / GROUP], sums[2 * GROUP_TOKENS], totals[2 * GROUP_TOKENS];
  for (int i = 0; i < 2 * ((count + 7) / 8 * 8); i++) sums[i] = totals[i] = 0;
  for (int begin = 0; begin < columns; begin += PANEL_COLUMNS) {
    const int width = min(begin + PANEL_COLUMNS, columns) - begin;
    for (int side = 0; side < 2; side++) {
      level_line lines[16];
      lines_of_panel(PRODUCT_WEIGHTS, first_row + row_of(16 * side, flags), is_gate(16 * side, flags), lines);
      ask_for_lines(lines, columns, begin + PANEL_COLUMNS, begin + 2 * PANEL_COLUMNS);
      for (int c = 0; c < width; c += 32) {
        uint16 quads[8];
        quads_of_panel(lines, begin + c, quads);
        UNROLLED for (int q = 0; q < 8; q++) put_quad(&panel[c / 2 + 2 * q + side], quads[q]);
        for (int g = c / GROUP; g < (c + 32) / GROUP; g++) scales_of_panel(lines, begin + g * GROUP, scales + 2 * g + side, minima + 2 * g + side);
      }
    }
    for (int i = 0; i < count; i += 8) {
      const global rounded_rows *rounded = rows_at(x, tile[3] + i, begin, columns);
      if (count - i > 4) multiply_levels_8(panel, scales, minima, rounded, width / GROUP, sums + 2 * i);
      else multiply_levels_4(panel, scales, minima, rounded, width / GROUP, sums + 2 * i);
    }
    if ((begin + PANEL_COLUMNS) % segment == 0 || begin + PANEL_COLUMNS >= columns)
      for (int i = 0; i < 2 * count; i++) totals[i] += sums[i], sums[i] = 0;
  }
  for (int i = 0; i < count; i++) store_panel(totals + 2 * i, first + i, first_row, y, PRODUCT_END);
}
