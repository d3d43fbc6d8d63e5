// The product of many rows: GROUP_ROWS weight rows times GROUP_TOKENS rows of one expert a work-group, through local memory.

/// Weight rows of one item, side by side: ITEM_ROWS is 8 or 16.
typedef JOIN(float, ITEM_ROWS) item_rows;
#define load_item_rows JOIN(vload, ITEM_ROWS)
#define store_item_rows JOIN(vstore, ITEM_ROWS)

enum { ROW_ITEMS = GROUP_ROWS / ITEM_ROWS, TILE_ITEMS = ROW_ITEMS * GROUP_TOKENS / ITEM_TOKENS };

/// Puts eight columns of a row or token beside those of the others.
#define PUT_COLUMNS(target, at, place, values)                                                                                          \
  target[at][place] = values.s0, target[at + 1][place] = values.s1, target[at + 2][place] = values.s2, target[at + 3][place] = values.s3, \
  target[at + 4][place] = values.s4, target[at + 5][place] = values.s5, target[at + 6][place] = values.s6, target[at + 7][place] = values.s7

kernel __attribute__((reqd_work_group_size(TILE_ITEMS, 1, 1))) void product_tiles(PRODUCT_PARAMETERS) {
  local float weights_of[STEP][GROUP_ROWS], inputs_of[STEP][GROUP_TOKENS];
  const int item = get_local_id(0), item_row = item % ROW_ITEMS * ITEM_ROWS, item_token = item / ROW_ITEMS * ITEM_TOKENS;
  const int first_row = get_group_id(0) * rows_of_group(flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  item_rows sum[ITEM_TOKENS], run[ITEM_TOKENS];
  UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) sum[i] = run[i] = 0;
  for (int column = 0; column < columns; column += STEP) {
    for (int unit = item; unit < GROUP_ROWS * STEP / 8; unit += TILE_ITEMS) {
      const int place = unit % GROUP_ROWS, at = unit / GROUP_ROWS * 8;
      float8 values = row_values(PRODUCT_WEIGHTS, first_row + row_of(place, flags), is_gate(place, flags), column + at);
      PUT_COLUMNS(weights_of, at, place, values);
    }
    for (int unit = item; unit < GROUP_TOKENS * STEP / 8; unit += TILE_ITEMS) {
      const int place = unit % GROUP_TOKENS, at = unit / GROUP_TOKENS * 8;
      float8 values = place < count ? inputs_at(PRODUCT_INPUTS, first + place, column + at) : 0;
      PUT_COLUMNS(inputs_of, at, place, values);
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    if (item_token < count) {
      for (int c = 0; c < STEP; c++) {
        const item_rows w = load_item_rows(0, weights_of[c] + item_row);
        UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) run[i] = multiply_add(w, (item_rows)inputs_of[c][item_token + i], run[i]);
      }
      if ((column + STEP) % RUN == 0 || column + STEP >= columns) {
        UNROLLED for (int i = 0; i < ITEM_TOKENS; i++) sum[i] += run[i], run[i] = 0;
      }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  for (int i = 0; i < ITEM_TOKENS && item_token + i < count; i++) {
    float sums[ITEM_ROWS];
    store_item_rows(sum[i], 0, sums);
    for (int place = 0; place < (flags & GATED ? ITEM_ROWS / 2 : ITEM_ROWS); place++) {
      const int row = first_row + row_of(item_row + place, flags);
      if (row < rows)
        y[(long)(first + item_token + i) * rows + row] = finished(sums[place], sums[(place + ITEM_ROWS / 2) % ITEM_ROWS], PRODUCT_END, row);
    }
  }
}
