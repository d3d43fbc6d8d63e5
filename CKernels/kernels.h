// Every kernel body, compiled inside one ISA file, and that ISA's table at the end.
//
// The ISA file defines before: ISA (its name), BODY, `supported()` and the vocabulary of VEC_ROWS (8 or 16) rows side by side. What reads
// panels of eight rows takes the distance to the next panel, which 16 rows need:
//   vec    a float a row: load_vec, load_half_vec, load_bfloat_vec, load_float_vec, load_unsigned_vec, load_signed_vec, load_nibble_vec (four
//          bits of a byte, from a shift on), load_half_exponents (2^(e - 128), see half_of_e8m0, or NaN for 255), load_half_ue4m3 (see
//          half_of_ue4m3, times a factor), store_vec, splat, add_vec, multiply, multiply_add (may round twice), fused_multiply_add
//   bytes  a quad of codes a row: load_bytes (of one panel or two), load_all, store_bytes, splat_quad, splat_byte, take_bits (of every byte
//          moved down by a shift, up where negative, and masked), or_bytes, subtract_bytes, lookup, hide, column_of (one signed code of each
//          quad as a float, times 2^24), float_column_of (one byte of each quad from the top of a word moved down and masked, as a float);
//          flip_signs where UNSIGNED_CODES says that dot takes no others
//   words  running sums of products: no_words, dot, signed_dot; of 16 bits in pairs, or of 32 bits where WORDS_ARE_INTS
//   ints   a sum of 32 bits a row: sum_words, splat_int, add_ints, floats_of
//   eight  8 floats of one row: load_eight, load_half_eight, load_bfloat_eight, store_turned (8 x 8); transpose_quads
// MULTIPLIES_PAIRS, where one instruction takes two rows and two tokens: see gemm/gemm_int8_pairs.h; MULTIPLIES_TILES, where it takes
// sixteen of each: see gemm/gemm_int8_tiles.h, gemm_bf16_tiles.h and gemm_float_tiles.h; MULTIPLIES_BF16, where it sums products of bf16: see
// gemm/gemm_bf16.h;
// FLOAT_TABLE and INT8_TABLE, of which another table's products on f32 and on int8 activations this one's are;
// and FEW_ROWS, PEAK_CHAINS, INT8_TOKENS, INT8_FEW, INT8_VECS, BF16_TOKENS, FLOAT_TOKENS, FLOAT_VECS, FLOAT_NARROW, FEW_TOKENS where the
// numbers of chains, and of tokens and vectors in a tile, do not suit its registers.
#pragma once
#include "formats/list.h"
#include "formats/matrix.h"
#include "formats/panels.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)
/// Arrays of vectors stay in registers only where their loop is none.
#define UNROLLED _Pragma("clang loop unroll(full)")
/// The cases of a switch over numbers of tokens that have to be known at compile time.
#define FOR_TOKENS(CASE) CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)

#include "gating/lanes.h"
#include "gating/exact.h"
#include "gating/logits.h"
#include "gating/scores.h"
#include "gating/topk.h"
#include "gating/groups.h"
#include "gemm/scratch.h"
#include "gemm/pack.h"
#include "gemm/quads.h"
#include "rows/round_int8.h"
#include "gemm/int8_group.h"
#include "gemm/int8_panels.h"
#include "gemm/int8_unpacked.h"
#include "gemm/gemm_int8.h"
#include "gemm/float_widen.h"
#ifndef FLOAT_TABLE
#if FEW_TOKENS > 0
#include "gemm/float_codes.h"
#endif
#include "gemm/gemm_float.h"
#endif
#if defined(MULTIPLIES_PAIRS)
#include "gemm/gemm_int8_pairs.h"
#define INT8_PRODUCT gemm_int8_pairs
#elif defined(MULTIPLIES_TILES)
#include "gemm/gemm_int8_tiles.h"
#include "gemm/gemm_float_tiles.h"
#define INT8_PRODUCT gemm_int8_tiles
#else
#define INT8_PRODUCT gemm_int8
#endif
#if defined(MULTIPLIES_BF16) || defined(MULTIPLIES_TILES)
#include "rows/round_bf16.h"
#endif
#if defined(MULTIPLIES_TILES)
#include "gemm/gemm_bf16_tiles.h"
#define BF16_PRODUCT gemm_bf16_tiles
#elif defined(MULTIPLIES_BF16)
#include "gemm/gemm_bf16.h"
#define BF16_PRODUCT gemm_bf16
#endif
#include "gemm/peak.h"
#ifdef MULTIPLIES_TILES
#include "gemm/peak_tiles.h"
#endif
#include "rows/activate.h"
#include "rows/combine.h"

#define GEMM_PARAMETERS(...) \
  const moe_matrix *w, int64_t row_begin, int64_t row_end, __VA_ARGS__, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch
#define ROUND_PARAMETERS \
  const float *x, int64_t x_stride, const int32_t *rows, int64_t m, int64_t column, int64_t count, int64_t columns, void *rounded
#define PACK_PARAMETERS const moe_matrix *w, int64_t row_begin, int64_t row_end, void *panels, float *scratch

#ifdef MULTIPLIES_TILES
#define BY_TILES(name) \
  if (INDEX_##name == INDEX_bf16) return gemm_float_tiles(w, row_begin, row_end, x, x_stride, rows, m, segment, y, y_stride, scratch);
#else
#define BY_TILES(name)
#endif
#ifdef FLOAT_TABLE
#define FLOAT_PRODUCT(name) FLOAT_TABLE.formats[INDEX_##name].gemm(w,
#else
#define FLOAT_PRODUCT(name) gemm_float(w, decode_##name, INDEX_##name,
#endif
#define GEMM(name, ...)                                                                                                     \
  static void JOIN(gemm_##name, ISA)(GEMM_PARAMETERS(const float *x, int64_t x_stride, const int32_t *rows)) {              \
    BY_TILES(name)                                                                                                          \
    FLOAT_PRODUCT(name) row_begin, row_end, x, x_stride, rows, m, segment, y, y_stride, scratch);                           \
  }
MOE_FORMATS(GEMM)

#if defined(INT8_TABLE)
#define BY_ANOTHER_TABLE(name, call) \
  if (true) return INT8_TABLE.formats[INDEX_##name].call;
#elif defined(FEW_ROWS)
/// Another table's kernel, which gives the same bits and is faster for few rows.
#define BY_ANOTHER_TABLE(name, call) \
  if (m <= FEW_ROWS) return FEW_ROWS_TABLE.formats[INDEX_##name].call;
#else
#define BY_ANOTHER_TABLE(name, call)
#endif
#define GEMM_INT8(name, ...)                                                                                                \
  static void JOIN(gemm_int8_##name, ISA)(GEMM_PARAMETERS(const void *x)) {                                                 \
    BY_ANOTHER_TABLE(name, gemm_int8(w, row_begin, row_end, x, m, segment, y, y_stride, scratch))                           \
    code_format f = as_multiplied(in_matrix(code_formats[INDEX_##name], w));                                                \
    INT8_PRODUCT(f, w, row_begin, row_end, x, m, segment, y, y_stride, scratch);                                            \
  }                                                                                                                         \
  static void JOIN(round_int8_##name, ISA)(ROUND_PARAMETERS) {                                                              \
    BY_ANOTHER_TABLE(name, round_int8(x, x_stride, rows, m, column, count, columns, rounded))                               \
    round_tiles(as_multiplied(code_formats[INDEX_##name]), x, x_stride, rows, m, column, count, columns, rounded);          \
  }
MOE_CODE_FORMATS(GEMM_INT8)

#define PACK_CODES(name, ...)                                                                                               \
  static void JOIN(pack_##name, ISA)(PACK_PARAMETERS) {                                                                     \
    const code_format f = code_formats[INDEX_##name], nvfp4 = code_formats[INDEX_nvfp4];                                    \
    if (INDEX_##name == INDEX_e2m1 && panel_format(w) == INDEX_nvfp4)                                                       \
      pack_codes(in_matrix(packed_as(nvfp4, f), w), w, row_begin, row_end, panels, scratch);                                \
    else                                                                                                                    \
      pack_codes(in_matrix(f, w), w, row_begin, row_end, panels, scratch);                                                  \
  }
MOE_PANEL_FORMATS(PACK_CODES)

#ifdef BF16_PRODUCT
static void JOIN(gemm_bf16_bf16, ISA)(GEMM_PARAMETERS(const void *x)) {
  BF16_PRODUCT(w, row_begin, row_end, x, m, segment, y, y_stride, scratch);
}
static void JOIN(round_bf16_bf16, ISA)(ROUND_PARAMETERS) { round_bf16(x, x_stride, rows, m, column, count, columns, rounded); }
#define BF16_KERNELS \
  [INDEX_bf16].bf16_name = "gemm_bf16_bf16_" TEXT(ISA), [INDEX_bf16].gemm_bf16 = JOIN(gemm_bf16_bf16, ISA), \
  [INDEX_bf16].round_bf16 = JOIN(round_bf16_bf16, ISA),
#else
#define BF16_KERNELS
#endif

#define PACK(name) \
  static void JOIN(pack_##name, ISA)(PACK_PARAMETERS) { pack_elements(INDEX_##name, w, row_begin, row_end, panels); }
MOE_PLAIN_FORMATS(PACK)

#define FLOAT_KERNELS(f, ...) [INDEX_##f].name = "gemm_" #f "_" TEXT(ISA), [INDEX_##f].gemm = JOIN(gemm_##f, ISA),
#define INT8_KERNELS(f, values, bytes, bits, group, lines, levels, zero, is_signed, run) \
  [INDEX_##f].int8_name = "gemm_int8_" #f "_" TEXT(ISA), [INDEX_##f].gemm_int8 = JOIN(gemm_int8_##f, ISA), \
  [INDEX_##f].round_int8 = JOIN(round_int8_##f, ISA), [INDEX_##f].int8_run = RUN_OF(group, run),
#define PACKERS(f, ...) [INDEX_##f].pack = JOIN(pack_##f, ISA),
static const moe_format_kernels format_kernels[FORMATS] = {
    MOE_FORMATS(FLOAT_KERNELS) MOE_CODE_FORMATS(INT8_KERNELS) MOE_PANEL_FORMATS(PACKERS) MOE_PLAIN_FORMATS(PACKERS) BF16_KERNELS};

extern const moe_kernels JOIN(moe_kernels, ISA);
const moe_kernels JOIN(moe_kernels, ISA) = {
    .name = TEXT(ISA),
    .supported = supported,
    .formats = format_kernels,
    .router_logits = router_logits,
    .router_scores = router_scores,
    .topk = topk,
    .limit_groups = limit_groups,
    .activate = activate,
    .quantize_int8 = quantize_int8,
    .combine = combine,
    .add_rows = add_rows,
    .peak_multiply_add = peak_multiply_add,
#ifdef MULTIPLIES_TILES
    .peak_int8 = peak_int8_tiles,
    .peak_int8_wide = peak_int8_tiles,
    .peak_bf16 = peak_bf16_tiles,
#else
    .peak_int8 = peak_int8,
    .peak_int8_wide = peak_int8_wide,
#ifdef MULTIPLIES_BF16
    .peak_bf16 = peak_bf16,
#endif
#endif
};
