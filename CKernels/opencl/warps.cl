// What products by tensor cores share: the warps of a group, the sums of an item, and where they go. A warp has WARP_ROWS weight rows and meets all
// rows of the plan, eight at a time.
enum { WARPS = GROUP_ROWS / WARP_ROWS, MATRIX_ITEMS = WARPS * WARP, ITEM_SUMS = WARP_ROWS / 4, TOKEN_TILES = GROUP_TOKENS / 8 };

/// Stages of 32 columns in local memory: one is multiplied, two are copied.
enum { STAGES = 3, DEPTH = 32 };

/// Every index of a sum has to be known.
#define EACH_SUM UNROLLED for (int n = 0; n < TOKEN_TILES; n++) UNROLLED for (int i = 0; i < ITEM_SUMS; i++)

/// Outputs of an item: one tile of tokens after the other, so that what follows a sum is compiled once for each of those. Of sixteen rows the last
/// eight are the gates of the first.
__attribute__((always_inline)) void store_sums(
    float total[TOKEN_TILES][ITEM_SUMS], int first, int count, int first_row, global float *y, const global float *biases, int expert, int experts,
    int rows, int flags, float limit, float alpha) {
  const int item = get_local_id(0), lane = item % WARP, warp_row = item / WARP * WARP_ROWS;
  _Pragma("unroll 1") for (int tile = 0; 8 * tile < count; tile++) {
    float sums[ITEM_SUMS];
    EACH_SUM if (n == tile) sums[i] = total[n][i];
    UNROLLED for (int i = 0; i < ITEM_SUMS; i++) {
      const int token = 8 * tile + lane % 4 * 2 + i % 2, place = warp_row + i / 2 * 8 + lane / 4, row = first_row + row_of(place, flags);
      if (token < count && row < rows && !is_gate(place, flags))
        y[(long)(first + token) * rows + row] = finished(sums[i], sums[i ^ 2], PRODUCT_END, row);
    }
  }
}

#define PRODUCT_ARGUMENTS                                                                                                             \
  matrices, up_codes, up_planes, gate_codes, gate_planes, biases, lists, tiles, tokens, weights, x, y, first_expert, experts, rows, columns, \
      inputs, flags, limit, alpha
