// The product of at most FEW rows on int8 activations by tensor cores, of the eight that an instruction takes.
kernel __attribute__((reqd_work_group_size(MATRIX_ITEMS, 1, 1))) void product_rows_mma_int8(PRODUCT_PARAMETERS, int segment) {
  local ushort8 stages[STAGES * PIECES];
  local warp_exchange exchanges[WARPS];
  multiply_levels_by_warps(PRODUCT_ARGUMENTS, segment, 8, stages, exchanges);
}
