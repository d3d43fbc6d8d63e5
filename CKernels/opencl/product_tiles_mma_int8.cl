// The product of many rows on int8 activations by tensor cores.
kernel __attribute__((reqd_work_group_size(MATRIX_ITEMS, 1, 1))) void product_tiles_mma_int8(PRODUCT_PARAMETERS, int segment) {
  local ushort8 stages[STAGES * TOKEN_TILES * PIECES];
  local warp_exchange exchanges[WARPS];
  multiply_levels_by_warps(PRODUCT_ARGUMENTS, segment, GROUP_TOKENS, stages, exchanges);
}
