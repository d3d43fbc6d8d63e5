// The product of at most FEW rows on int8 activations: each item takes ITEM_ROWS weight rows and one of LANES groups of columns; the exact sums of
// the lanes are scaled and added in order. The same bits as product_tiles_int8.

enum { LANES = 8, FEW_ITEMS = GROUP_ROWS / ITEM_ROWS * LANES, MOST_OCTETS = MOST_QUADS / 2 };

kernel __attribute__((reqd_work_group_size(FEW_ITEMS, 1, 1))) void product_rows_int8(PRODUCT_PARAMETERS, int segment) {
  local int parts[LANES][FEW][GROUP_ROWS];
  local float scales_of[LANES][GROUP_ROWS], minima_of[LANES][GROUP_ROWS], sums[FEW][GROUP_ROWS], totals[FEW][GROUP_ROWS];
  const int item = get_local_id(0), lane = item % LANES, item_row = item / LANES * ITEM_ROWS;
  const int first_row = get_group_id(0) * rows_of_group(flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  for (int place = item; place < GROUP_ROWS; place += FEW_ITEMS)
    for (int i = 0; i < FEW; i++) sums[i][place] = totals[i][place] = 0;
  for (int begin = 0; begin < columns; begin += LANES * GROUP) {
    const int column = begin + lane * GROUP;
    for (int place = item_row; place < item_row + ITEM_ROWS && column < columns; place++) {
      const level_line line = line_of(PRODUCT_WEIGHTS, min(first_row + row_of(place, flags), rows - 1), is_gate(place, flags));
      const global rounded_rows *rounded = rows_at(x, tile[3], column, columns);
      int part[FEW];
      quad_sums held[FEW];
      UNROLLED for (int i = 0; i < FEW; i++) part[i] = 0, held[i] = 0;
      UNROLLED for (int octet = 0; octet < GROUP / 8; octet++) {
        const uint2 quads = level_octet(line, column + 8 * octet);
        const int quad = column % 32 / 4 + 2 * octet;
        UNROLLED for (int i = 0; i < FEW; i++) {
          if (i >= count) continue;
          held[i] = dot_quad(quads.x, rounded->codes[quad][i], dot_quad(quads.y, rounded->codes[quad + 1][i], held[i]));
          if ((octet + 1) % MOST_OCTETS == 0 || octet + 1 == GROUP / 8) part[i] += sum_of(held[i]), held[i] = 0;
        }
      }
      const float2 scale = level_scale(line, column);
      scales_of[lane][place] = scale.x, minima_of[lane][place] = scale.y;
      UNROLLED for (int i = 0; i < FEW; i++) parts[lane][i][place] = part[i];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int place = item; place < GROUP_ROWS; place += FEW_ITEMS)
      for (int i = 0; i < count; i++)
        for (int g = 0; g < LANES && begin + g * GROUP < columns; g++) {
          const global rounded_rows *rounded = rows_at(x, tile[3] + i, begin + g * GROUP, columns);
          const float factor = rounded->scales[i], codes_sum = factor * (float)rounded->sums[g % GROUPS][i];
          sums[i][place] = scaled_sum(parts[g][i][place], scales_of[g][place], factor, minima_of[g][place], codes_sum, sums[i][place]);
          const int end = begin + (g + 1) * GROUP;
          if (end % segment == 0 || end >= columns) totals[i][place] += sums[i][place], sums[i][place] = 0;
        }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  store_few(totals, item, FEW_ITEMS, first, count, first_row, y, PRODUCT_END);
}
