// The arithmetic peaks of tiles, int8 and bf16: four tiles of sums, never leaving the registers.
#pragma once

/// Products of full tiles: 16 tokens, 16 rows, 64 bytes of columns of `width` bytes.
BODY float peak_tiles(int width, int64_t steps, int64_t *operations) {
  tile_file tiles;
  tile_shapes shapes = {.palette = 1};
  for (int i = 0; i < 8; i++) shapes.rows[i] = TILE_ROWS, shapes.row_bytes[i] = TILE_ROW_BYTES;
  configure_tiles(&tiles, &shapes);
  _Alignas(64) int8_t ones[TILE_ROWS][TILE_ROW_BYTES];
  _Alignas(64) float sums[TILE_ROWS][TILE_ROWS];
  memset(ones, width == 1 ? 1 : 0x3f, sizeof ones);
  load_tile(&tiles, 4, ones, TILE_ROW_BYTES);
  load_tile(&tiles, 6, ones, TILE_ROW_BYTES);
  zero_tile(&tiles, 0), zero_tile(&tiles, 1), zero_tile(&tiles, 2), zero_tile(&tiles, 3);
  for (int64_t i = 0; i < steps; i++) {
    if (width == 1) {
      multiply_byte_tiles(&tiles, 0, 4, 6), multiply_byte_tiles(&tiles, 1, 4, 6);
      multiply_byte_tiles(&tiles, 2, 4, 6), multiply_byte_tiles(&tiles, 3, 4, 6);
    } else {
      multiply_bfloat_tiles(&tiles, 0, 4, 6), multiply_bfloat_tiles(&tiles, 1, 4, 6);
      multiply_bfloat_tiles(&tiles, 2, 4, 6), multiply_bfloat_tiles(&tiles, 3, 4, 6);
    }
  }
  store_tile(&tiles, 0, sums, TILE_ROW_BYTES);
  release_tiles(&tiles);
  *operations = 2 * 4 * TILE_ROWS * TILE_ROWS * (TILE_ROW_BYTES / width) * steps;
  return sums[0][0];
}

static float peak_int8_tiles(int64_t steps, int64_t *operations) { return peak_tiles(1, steps, operations); }
static float peak_bf16_tiles(int64_t steps, int64_t *operations) { return peak_tiles(2, steps, operations); }
