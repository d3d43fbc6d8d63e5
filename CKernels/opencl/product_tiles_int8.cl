// The product of product_tiles on int8 activations, as round_rows left them: 32 columns at a time, the sums of a group of columns exact integers. One
// fused multiply-add follows for the scales and one for the minimum, group after group: the bits of the CPU's products.

enum { ROW_ITEMS = GROUP_ROWS / ITEM_ROWS, TILE_ITEMS = ROW_ITEMS * GROUP_TOKENS / ITEM_TOKENS };

kernel __attribute__((reqd_work_group_size(TILE_ITEMS, 1, 1))) void product_tiles_int8(PRODUCT_PARAMETERS, int segment) {
  local uint weights_of[8][GROUP_ROWS], inputs_of[8][GROUP_TOKENS];
  local float scales_of[GROUPS][GROUP_ROWS], minima_of[GROUPS][GROUP_ROWS], factors_of[GROUP_TOKENS], sums_of[GROUPS][GROUP_TOKENS];
  const int item = get_local_id(0), item_row = item % ROW_ITEMS * ITEM_ROWS, item_token = item / ROW_ITEMS * ITEM_TOKENS;
  const int first_row = get_group_id(0) * rows_of_group(flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  float sum[ITEM_TOKENS][ITEM_ROWS], total[ITEM_TOKENS][ITEM_ROWS];
  UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) UNROLLED for (int k = 0; k < ITEM_ROWS; k++) sum[i][k] = total[i][k] = 0;
  for (int column = 0; column < columns; column += 32) {
    for (int unit = item; unit < GROUP_ROWS * GROUPS; unit += TILE_ITEMS) {
      const int place = unit % GROUP_ROWS, group = unit / GROUP_ROWS, row = min(first_row + row_of(place, flags), rows - 1);
      const level_line line = line_of(PRODUCT_WEIGHTS, row, is_gate(place, flags));
      for (int octet = group * GROUP / 8; octet < (group + 1) * GROUP / 8; octet++) {
        const uint2 quads = level_octet(line, column + 8 * octet);
        weights_of[2 * octet][place] = quads.x, weights_of[2 * octet + 1][place] = quads.y;
      }
      const float2 scale = level_scale(line, column + group * GROUP);
      scales_of[group][place] = scale.x, minima_of[group][place] = scale.y;
    }
    for (int unit = item; unit < GROUP_TOKENS * 8; unit += TILE_ITEMS) {
      const int place = unit % GROUP_TOKENS, quad = unit / GROUP_TOKENS;
      if (place >= count) continue;
      const global rounded_rows *rounded = rows_at(x, tile[3] + place, column, columns);
      inputs_of[quad][place] = rounded->codes[quad][place % 8];
      if (quad < GROUPS) sums_of[quad][place] = rounded->scales[place % 8] * (float)rounded->sums[quad][place % 8];
      if (quad == GROUPS) factors_of[place] = rounded->scales[place % 8];
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item_token < count) {
      UNROLLED for (int group = 0; group < GROUPS; group++) {
        int part[ITEM_TOKENS][ITEM_ROWS];
        UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) UNROLLED for (int k = 0; k < ITEM_ROWS; k++) part[i][k] = 0;
        for (int begin = group * GROUP / 4, end = begin + GROUP / 4; begin < end; begin += MOST_QUADS) {
          quad_sums sums[ITEM_TOKENS][ITEM_ROWS];
          UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) UNROLLED for (int k = 0; k < ITEM_ROWS; k++) sums[i][k] = 0;
          for (int q = begin; q < min(begin + MOST_QUADS, end); q++) {
            uint weights_at_quad[ITEM_ROWS];
            UNROLLED for (int k = 0; k < ITEM_ROWS; k++) weights_at_quad[k] = weights_of[q][item_row + k];
            UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) {
              const uint codes = inputs_of[q][item_token + i];
              UNROLLED for (int k = 0; k < ITEM_ROWS; k++) sums[i][k] = dot_quad(weights_at_quad[k], codes, sums[i][k]);
            }
          }
          UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) UNROLLED for (int k = 0; k < ITEM_ROWS; k++) part[i][k] += sum_of(sums[i][k]);
        }
        UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) {
          const float factor = factors_of[item_token + i], codes_sum = sums_of[group][item_token + i];
          UNROLLED for (int k = 0; k < ITEM_ROWS; k++)
            sum[i][k] = scaled_sum(part[i][k], scales_of[group][item_row + k], factor, minima_of[group][item_row + k], codes_sum, sum[i][k]);
        }
      }
      if ((column + 32) % segment == 0 || column + 32 >= columns) {
        UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) UNROLLED for (int k = 0; k < ITEM_ROWS; k++) total[i][k] += sum[i][k], sum[i][k] = 0;
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  // Sums stay in registers where every index of them is known.
  UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) UNROLLED for (int place = 0; place < ITEM_ROWS; place++) {
    const int row = first_row + row_of(item_row + place, flags);
    if (item_token + i < count && row < rows && !is_gate(item_row + place, flags))
      y[(long)(first + item_token + i) * rows + row] = finished(total[i][place], total[i][(place + ITEM_ROWS / 2) % ITEM_ROWS], PRODUCT_END, row);
  }
}
