// Tiles of AMX: the instructions themselves or, with MOE_EMULATE_AMX, portable C of what they are documented to do.
//
// A tile has up to 16 rows of up to 64 bytes. Tile numbers are constants. Where shapes do not fit each other, the instruction faults; the
// emulation traps.
#pragma once
#include "../formats/bits.h"

/// Rows of a tile, and the bytes of one.
enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64 };

/// Shapes of the eight tiles as `ldtilecfg` reads them.
typedef struct tile_shapes {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;
_Static_assert(sizeof(tile_shapes) == 64, "palette 1");

#ifdef MOE_EMULATE_AMX

typedef struct tile_file {
  tile_shapes shapes;
  uint8_t bytes[8][TILE_ROWS][TILE_ROW_BYTES];
} tile_file;

BODY void configure_tiles(tile_file *file, const tile_shapes *shapes) {
  memset(file, 0, sizeof *file);
  if (shapes->palette != 1) __builtin_trap();
  for (int i = 0; i < 8; i++)
    if (shapes->rows[i] > TILE_ROWS || shapes->row_bytes[i] > TILE_ROW_BYTES) __builtin_trap();
  file->shapes = *shapes;
}
BODY void release_tiles(tile_file *file) { memset(file, 0, sizeof *file); }
BODY void zero_tile(tile_file *file, int tile) { memset(file->bytes[tile], 0, sizeof file->bytes[tile]); }

BODY void load_tile(tile_file *file, int tile, const void *from, int64_t stride) {
  zero_tile(file, tile);
  if (!file->shapes.rows[tile]) __builtin_trap();
  for (int r = 0; r < file->shapes.rows[tile]; r++) memcpy(file->bytes[tile][r], (const uint8_t *)from + r * stride, file->shapes.row_bytes[tile]);
}

BODY void store_tile(const tile_file *file, int tile, void *to, int64_t stride) {
  if (!file->shapes.rows[tile]) __builtin_trap();
  for (int r = 0; r < file->shapes.rows[tile]; r++) memcpy((uint8_t *)to + r * stride, file->bytes[tile][r], file->shapes.row_bytes[tile]);
}

/// Adds products of signed bytes of a and unsigned ones of b to sums of 32 bits that wrap around: row k of b holds columns 4 k ... 4 k + 3 of
/// every row of weights.
BODY void multiply_byte_tiles(tile_file *file, int sums, int a, int b) {
  const tile_shapes *s = &file->shapes;
  if (s->rows[a] != s->rows[sums] || s->row_bytes[b] != s->row_bytes[sums] || s->row_bytes[a] != 4 * s->rows[b]) __builtin_trap();
  for (int m = 0; m < s->rows[a]; m++)
    for (int k = 0; k < s->rows[b]; k++)
      for (int n = 0; n < s->row_bytes[b] / 4; n++) {
        uint32_t sum;
        memcpy(&sum, &file->bytes[sums][m][4 * n], 4);
        for (int j = 0; j < 4; j++) sum += (uint32_t)((int8_t)file->bytes[a][m][4 * k + j] * file->bytes[b][k][4 * n + j]);
        memcpy(&file->bytes[sums][m][4 * n], &sum, 4);
      }
}

/// A number below 2^-126 is zero of its sign, before an operation and after it.
BODY float without_subnormal(float v) { return float_of_bits(bits_of_float(v) & (bits_of_float(v) & 0x7f800000 ? 0xffffffff : 0x80000000)); }

/// Adds products of bf16 pairs: even and odd columns each in order, one fused multiply-add a product, then both together to the sum.
BODY void multiply_bfloat_tiles(tile_file *file, int sums, int a, int b) {
  const tile_shapes *s = &file->shapes;
  if (s->rows[a] != s->rows[sums] || s->row_bytes[b] != s->row_bytes[sums] || s->row_bytes[a] != 4 * s->rows[b]) __builtin_trap();
  for (int m = 0; m < s->rows[a]; m++)
    for (int n = 0; n < s->row_bytes[b] / 4; n++) {
      float pair[2] = {0, 0}, sum;
      for (int k = 0; k < s->rows[b]; k++)
        for (int j = 0; j < 2; j++) {
          float x = without_subnormal(load_bf16(&file->bytes[a][m][4 * k + 2 * j]));
          float w = without_subnormal(load_bf16(&file->bytes[b][k][4 * n + 2 * j]));
          pair[j] = without_subnormal(__builtin_fmaf(x, w, pair[j]));
        }
      memcpy(&sum, &file->bytes[sums][m][4 * n], 4);
      sum = without_subnormal(without_subnormal(sum) + without_subnormal(pair[0] + pair[1]));
      memcpy(&file->bytes[sums][m][4 * n], &sum, 4);
    }
}

#else

/// The tiles are the thread's registers.
typedef struct tile_file { uint8_t none; } tile_file;

// Macros, since the instructions want constants.
#define configure_tiles(file, shapes) ((void)(file), _tile_loadconfig(shapes))
#define release_tiles(file) _tile_release()
#define zero_tile(file, tile) _tile_zero(tile)
#define load_tile(file, tile, from, stride) _tile_loadd(tile, from, stride)
#define store_tile(file, tile, to, stride) _tile_stored(tile, to, stride)
#define multiply_byte_tiles(file, sums, a, b) _tile_dpbsud(sums, a, b)
#define multiply_bfloat_tiles(file, sums, a, b) _tile_dpbf16ps(sums, a, b)

#endif
