// The product of at most FEW rows: each item takes ITEM_ROWS weight rows and one run of columns after the other, runs of LANES items are added in
// order. The same bits as product_tiles.

enum { LANES = 8, FEW_ITEMS = GROUP_ROWS / ITEM_ROWS * LANES };

kernel __attribute__((reqd_work_group_size(FEW_ITEMS, 1, 1))) void product_rows(PRODUCT_PARAMETERS) {
  local float runs[LANES][FEW][GROUP_ROWS], sums[FEW][GROUP_ROWS];
  const int item = get_local_id(0), lane = item % LANES, item_row = item / LANES * ITEM_ROWS;
  const int first_row = get_group_id(0) * rows_of_group(flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  for (int place = item; place < GROUP_ROWS; place += FEW_ITEMS)
    for (int i = 0; i < FEW; i++) sums[i][place] = 0;
  for (int begin = 0; begin < columns; begin += LANES * RUN) {
    const int column = begin + lane * RUN, end = min(column + RUN, columns);
    item_rows chain[FEW];
    UNROLLED for (int i = 0; i < FEW; i++) chain[i] = 0;
    for (int c = column; c < end; c += 8) {
      float weights_of[8][ITEM_ROWS];
      UNROLLED for (int place = 0; place < ITEM_ROWS; place++) {
        float8 values = row_values(PRODUCT_WEIGHTS, first_row + row_of(item_row + place, flags), is_gate(place, flags), c);
        PUT_COLUMNS(weights_of, 0, place, values);
      }
      UNROLLED for (int i = 0; i < FEW; i++) {
        if (i >= count) continue;
        float inputs_of[8];
        vstore8(inputs_at(PRODUCT_INPUTS, first + i, c), 0, inputs_of);
        UNROLLED for (int k = 0; k < 8; k++) chain[i] = multiply_add(load_item_rows(0, weights_of[k]), (item_rows)inputs_of[k], chain[i]);
      }
    }
    UNROLLED for (int i = 0; i < FEW; i++) store_item_rows(chain[i], 0, runs[lane][i] + item_row);
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int place = item; place < GROUP_ROWS; place += FEW_ITEMS)
      for (int i = 0; i < count; i++)
        for (int l = 0; l < LANES && begin + l * RUN < columns; l++) sums[i][place] += runs[l][i][place];
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  store_few(sums, item, FEW_ITEMS, first, count, first_row, y, PRODUCT_END);
}
