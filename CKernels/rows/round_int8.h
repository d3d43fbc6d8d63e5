// Activations to int8, and into the tiles that the products read.
//
// The m rows of a call are cut evenly into tiles of at most INT8_TOKENS rows. A tile of n rows holds, 32 columns after 32 columns:
//   n x 32 codes   quad after quad, the four codes of each row next to each other
//   n scales       f32
//   n offsets      i32 -zero * (sum of the codes), or f32 scale * (sum of the codes) where the format has a minimum; 2 x n where its scales
//                  belong to 16 columns
// so that a tile begins at (rows before it) * row_bytes and everything lies at a constant distance from one pointer. Where an ISA multiplies
// tiles (MULTIPLIES_TILES), those have up to 16 rows, and the 32 codes of a row lie together.
#pragma once

#ifndef INT8_TOKENS
#define INT8_TOKENS 4
#endif
#ifdef MULTIPLIES_TILES
enum { ROUNDED_TOKENS = TILE_ROWS };
#else
enum { ROUNDED_TOKENS = INT8_TOKENS };
#endif

/// Tokens of the next tile, the rest cut evenly: 7 as 4 and 3, not as 6 and 1.
BODY int64_t next_tile(int64_t tokens, int64_t most) {
  int64_t tiles = (tokens + most - 1) / most;
  return (tokens + tiles - 1) / tiles;
}

typedef float float_octet __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t int_octet __attribute__((vector_size(32)));
typedef int8_t bytes_of_octet __attribute__((vector_size(32)));
typedef int8_t two_quads __attribute__((vector_size(8)));

/// Groups of 32 values that are rounded together.
enum { ROUNDED_GROUPS = 8 };

/// What the codes of some groups are made with.
typedef struct rounding {
  float scale[ROUNDED_GROUPS], inverse[ROUNDED_GROUPS];
  /// All bits, or none where a group holds NaN or infinity: its codes are zero and its scale NaN.
  int32_t kept[ROUNDED_GROUPS];
} rounding;

/// Scales of `groups` groups: largest / 127.
BODY rounding measure_groups(const float *x, int64_t groups) {
#pragma STDC FP_CONTRACT OFF
  uint32_t most[ROUNDED_GROUPS] = {0};
  for (int64_t g = 0; g < groups; g++)
    for (int j = 0; j < 32; j++) {
      uint32_t magnitude = bits_of_float(x[32 * g + j]) & 0x7fffffff;
      most[g] = magnitude > most[g] ? magnitude : most[g];
    }
  rounding r;
  for (int g = 0; g < ROUNDED_GROUPS; g++) {
    bool is_finite = most[g] < 0x7f800000;
    float largest = float_of_bits(most[g]), inverse = 127 / largest;
    bool is_small = !(inverse < INFINITY);  // every value below 2^-121: nothing of it would be left
    r.inverse[g] = (is_finite & !is_small) ? inverse : 0;
    r.scale[g] = is_finite ? (is_small ? 0 : largest / 127) : (float)NAN;
    r.kept[g] = -(int32_t)is_finite;
  }
  return r;
}

/// Rounds 32 values: code = x * (127 / largest) to the nearest even. Quad q of codes goes to codes + q * next; `sums` are those of the codes of
/// the first and of the last 16.
BODY void round_group(const float *x, float inverse, int32_t kept, uint8_t *codes, int64_t next, int32_t sums[2]) {
#pragma STDC FP_CONTRACT OFF
  int_octet halves[2] = {{0}, {0}};
  UNROLLED for (int i = 0; i < 4; i++) {
    // 1.5 * 2^23: the sum's last bits are the rounded integer.
    int_octet code = ((int_octet)(*(const float_octet *)(x + 8 * i) * inverse + 12582912.0f) - 0x4b400000) & kept;
    bytes_of_octet bytes = (bytes_of_octet)code;
    two_quads quads = __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 16, 20, 24, 28);
    memcpy(codes + 2 * i * next, &quads, 4), memcpy(codes + (2 * i + 1) * next, (const int8_t *)&quads + 4, 4);
    halves[i / 2] += code;
  }
  for (int h = 0; h < 2; h++) sums[h] = __builtin_reduce_add(halves[h]);
}

static void quantize_int8(const float *x, int64_t n, int8_t *codes, float *scales) {
  for (int64_t b = 0; b < n / 32; b++) {
    rounding r = measure_groups(x + 32 * b, 1);
    int32_t sums[2];
    round_group(x + 32 * b, r.inverse[0], r.kept[0], (uint8_t *)codes + 32 * b, 4, sums);
    scales[b] = r.scale[0];
  }
}

/// Columns [column, column + count) of `m` rows into their tiles; x is at the first of these columns.
BODY void round_tiles(code_format f, const float *x, int64_t x_stride, const int32_t *rows, int64_t m, int64_t column, int64_t count,
                      int64_t columns, uint8_t *rounded) {
#pragma STDC FP_CONTRACT OFF
  int64_t each = int8_group_bytes(f);
  for (int64_t i = 0, tokens; i < m; i += tokens, rounded += tokens * (columns / 32) * each) {
    tokens = next_tile(m - i, ROUNDED_TOKENS);
    for (int64_t t = 0; t < tokens; t++) {
      const float *row = x + (rows ? (int64_t)rows[i + t] : i + t) * x_stride;
      uint8_t *tile = rounded + column / 32 * tokens * each;
      for (int64_t c = 0, groups; c < count; c += 32 * groups, row += 32 * groups) {
        groups = count - c < 32 * ROUNDED_GROUPS ? (count - c) / 32 : ROUNDED_GROUPS;
        rounding r = measure_groups(row, groups);
        for (int64_t b = 0; b < groups; b++, tile += tokens * each) {
          int32_t sums[2];
          if (ROUNDED_TOKENS == INT8_TOKENS)
            round_group(row + 32 * b, r.inverse[b], r.kept[b], tile + 4 * t, 4 * tokens, sums);
          else
            round_group(row + 32 * b, r.inverse[b], r.kept[b], tile + 32 * t, 4, sums);
          memcpy(tile + 32 * tokens + 4 * t, &r.scale[b], 4);
          for (int g = 0; g < 32 / f.group; g++) {
            int32_t sum = f.group == 16 ? sums[g] : sums[0] + sums[1], offset = -f.zero * sum;
            float minimum = r.scale[b] * (float)sum;
            memcpy(tile + (36 + 4 * g) * tokens + 4 * t, has_minimum(f) ? (const void *)&minimum : (const void *)&offset, 4);
          }
        }
      }
    }
  }
}
