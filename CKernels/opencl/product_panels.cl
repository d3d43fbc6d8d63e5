// The product on a CPU, where an item is a thread: a run of columns of 32 weight rows is decoded into a panel that stays in the cache, and the rows
// of a tile, as arrange_rows left them, meet it there. The sums have the bits of product_tiles. The host defines HAS_LEVELS for a format of levels with
// scales of its own.

/// Sums of one run for COUNT rows, 32 weight rows each.
#define MULTIPLY_PANEL(COUNT)                                                                                                        \
  void multiply_panel_##COUNT(const float16 *panel, const global float *x, int columns, float16 *sums) {                              \
    float16 low[COUNT], high[COUNT];                                                                                                 \
    UNROLLED for (int i = 0; i < COUNT; i++) low[i] = high[i] = 0;                                                                   \
    for (int c = 0; c < columns; c++) {                                                                                              \
      UNROLLED for (int i = 0; i < COUNT; i++) {                                                                                     \
        const float16 value = x[8 * c + i];                                                                                          \
        low[i] = multiply_add(panel[2 * c], value, low[i]), high[i] = multiply_add(panel[2 * c + 1], value, high[i]);                \
      }                                                                                                                              \
    }                                                                                                                                \
    UNROLLED for (int i = 0; i < COUNT; i++) sums[2 * i] += low[i], sums[2 * i + 1] += high[i];                                      \
  }
MULTIPLY_PANEL(8)
MULTIPLY_PANEL(4)

kernel __attribute__((reqd_work_group_size(1, 1, 1))) void product_panels(PRODUCT_PARAMETERS) {
  const int first_row = get_group_id(0) * rows_of_group(flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  float16 panel[2 * RUN], sums[2 * GROUP_TOKENS];
  for (int i = 0; i < 2 * ((count + 7) / 8 * 8); i++) sums[i] = 0;
  for (int begin = 0; begin < columns; begin += RUN) {
    const int width = min(begin + RUN, columns) - begin;
    for (int side = 0; side < 2; side++) {
      const bool gate = is_gate(16 * side, flags);
      const int row = first_row + row_of(16 * side, flags);
#ifdef HAS_LEVELS
      level_line lines[16];
      lines_of_panel(PRODUCT_WEIGHTS, row, gate, lines);
      ask_for_lines(lines, columns, begin + RUN, begin + 2 * RUN);
      for (int c = 0; c < width; c += 32) {
        uint16 quads[8];
        quads_of_panel(lines, begin + c, quads);
        float16 scales[GROUPS], minima[GROUPS];
        UNROLLED for (int g = 0; g < GROUPS; g++) scales_of_panel(lines, begin + c + g * GROUP, scales + g, minima + g);
        UNROLLED for (int i = 0; i < 32; i++) {
          const float16 values = column_of_quads(quads[i / 4], i % 4) * scales[i / GROUP];
          panel[2 * (c + i) + side] = HAS_MINIMUM ? values + minima[i / GROUP] : values;
        }
      }
#else
      const global matrix *m = matrices + (gate ? experts + expert : expert);
      const global uchar *codes = gate ? gate_codes : up_codes, *planes = gate ? gate_planes : up_planes;
      for (int c = 0; c < width; c += 8) {
        float16 values[8];
        // Behind the last row its sums are computed again, and not kept.
        UNROLLED for (int k = 0; k < 8; k++)
          values[k] = (float16)(weights_at(m, codes, planes, min(row + 2 * k, rows - 1), begin + c),
                                weights_at(m, codes, planes, min(row + 2 * k + 1, rows - 1), begin + c));
        transpose_float16(values);
        UNROLLED for (int k = 0; k < 8; k++) panel[2 * (c + k) + side] = values[k];
      }
#endif
    }
    for (int i = 0; i < count; i += 8) {
      const global float *inputs_of = x + (long)(tile[3] + i) * columns + 8 * begin;
      if (count - i > 4) multiply_panel_8(panel, inputs_of, width, sums + 2 * i);
      else multiply_panel_4(panel, inputs_of, width, sums + 2 * i);
    }
  }
  for (int i = 0; i < count; i++) store_panel(sums + 2 * i, first + i, first_row, y, PRODUCT_END);
}
