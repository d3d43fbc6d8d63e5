// The product of at most FEW rows by tensor cores, of the eight that an instruction takes. The same bits as product_tiles_mma.
kernel __attribute__((reqd_work_group_size(MATRIX_ITEMS, 1, 1))) void product_rows_mma(PRODUCT_PARAMETERS) {
  local ushort8 stages[STAGES * STAGE_OCTETS(8)];
  local warp_exchange exchanges[WARPS];
  multiply_by_warps(PRODUCT_ARGUMENTS, 8, stages, exchanges);
}
