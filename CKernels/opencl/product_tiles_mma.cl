// The product of many rows by tensor cores.
kernel __attribute__((reqd_work_group_size(MATRIX_ITEMS, 1, 1))) void product_tiles_mma(PRODUCT_PARAMETERS) {
  local ushort8 stages[STAGES * STAGE_OCTETS(GROUP_TOKENS)];
  local warp_exchange exchanges[WARPS];
  multiply_by_warps(PRODUCT_ARGUMENTS, GROUP_TOKENS, stages, exchanges);
}
