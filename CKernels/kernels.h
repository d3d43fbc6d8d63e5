// Every kernel body, compiled inside one ISA file, and that ISA's table at the end.
//
// The ISA file defines before: ISA (its name), BODY, `supported()` and the vocabulary of eight rows side by side:
//   vec    8 floats: load_vec, store_vec, splat, add_vec, multiply, multiply_add (may round twice), fused_multiply_add,
//          load_half_vec, load_bfloat_vec, store_turned (8 x 8)
//   bytes  8 x 4 codes: load_bytes, splat_quad, transpose_quads, hide
//   words  8 x 2 sums of 16 bits: pair_products, signed_pair_products, add_words
//   ints   8 sums of 32 bits: sum_pairs, add_ints, floats_of
// and PEAK_CHAINS where the number in gemm/peak.h does not suit its registers.
#pragma once
#include "formats/list.h"
#include "formats/matrix.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#define INDEX(f, ...) INDEX_##f,
enum { MOE_FORMATS(INDEX) FORMATS };

#include "gating/lanes.h"
#include "gating/exact.h"
#include "gating/logits.h"
#include "gating/scores.h"
#include "gating/topk.h"
#include "gating/groups.h"
#include "gemm/gemm_float.h"
#include "gemm/gemm_int8.h"
#include "gemm/peak.h"
#include "rows/activate.h"
#include "rows/accumulate.h"
#include "rows/quantize.h"

#define GEMM(name, ...)                                                                                                            \
  static void JOIN(gemm_##name, ISA)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride,       \
                                     const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {   \
    gemm_float(w, decode_##name, INDEX_##name, row_begin, row_end, x, x_stride, rows, m, segment, y, y_stride, scratch);                            \
  }
MOE_FORMATS(GEMM)

#define GEMM_INT8(name, values, bytes, group, run, is_signed)                                                                      \
  static void JOIN(gemm_int8_##name, ISA)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const moe_int8_rows *x,             \
                                          const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride,                 \
                                          float *scratch) {                                                                         \
    gemm_int8((int8_format){codes_##name, values, bytes, group, run, is_signed}, w, row_begin, row_end, x, rows, m, segment, y,         \
              y_stride, scratch);                                                                                                   \
  }
MOE_INT8_FORMATS(GEMM_INT8)

#define FLOAT_KERNELS(f, ...) [INDEX_##f].name = "gemm_" #f "_" TEXT(ISA), [INDEX_##f].gemm = JOIN(gemm_##f, ISA),
#define INT8_KERNELS(f, values, bytes, group, run, ...) \
  [INDEX_##f].int8_name = "gemm_int8_" #f "_" TEXT(ISA), [INDEX_##f].gemm_int8 = JOIN(gemm_int8_##f, ISA), [INDEX_##f].int8_run = run,
static const moe_format_kernels format_kernels[FORMATS] = {MOE_FORMATS(FLOAT_KERNELS) MOE_INT8_FORMATS(INT8_KERNELS)};

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
    .accumulate = accumulate,
    .peak_multiply_add = peak_multiply_add,
    .peak_int8 = peak_int8,
    .peak_int8_wide = peak_int8_wide,
};
