// The arithmetic peak of int8 tiles: four tiles of sums, never leaving the registers.
#pragma once

/// Products of full tiles: 16 tokens, 16 rows, 64 columns.
static float peak_int8_tiles(int64_t steps, int64_t *operations) {
  tile_file tiles;
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.rows[i] = TILE_ROWS, shapes.row_bytes[i] = TILE_ROW_BYTES;
  configure_tiles(&tiles, &shapes);
  _Alignas(64) int8_t ones[TILE_ROWS][TILE_ROW_BYTES];
  _Alignas(64) int32_t sums[TILE_ROWS][TILE_ROWS];
  memset(ones, 1, sizeof ones);
  load_tile(&tiles, 4, ones, TILE_ROW_BYTES);
  load_tile(&tiles, 6, ones, TILE_ROW_BYTES);
  zero_tile(&tiles, 0), zero_tile(&tiles, 1), zero_tile(&tiles, 2), zero_tile(&tiles, 3);
  for (int64_t i = 0; i < steps; i++) {
    multiply_byte_tiles(&tiles, 0, 4, 6), multiply_byte_tiles(&tiles, 1, 4, 6);
    multiply_byte_tiles(&tiles, 2, 4, 6), multiply_byte_tiles(&tiles, 3, 4, 6);
  }
  store_tile(&tiles, 0, sums, TILE_ROW_BYTES);
  release_tiles(&tiles);
  *operations = 2 * 4 * TILE_ROWS * TILE_ROWS * TILE_ROW_BYTES * steps;
  return (float)sums[0][0];
}
