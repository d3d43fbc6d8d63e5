// Every kernel body, compiled inside one ISA file, and that ISA's table at the end.
//
// The ISA file defines before: ISA (its name), BODY, GEMM_ROWS (rows of one tile), `supported()` and the
// vocabulary: `lanes` (16 floats), load_lanes, store_lanes, multiply_add; and PEAK_CHAINS where gemm/peak.h does not suit its registers.
#pragma once
#include "formats/list.h"
#include "formats/matrix.h"

#define JOIN_(a, b) a##_##b
#define JOIN(a, b) JOIN_(a, b)
#define TEXT_(a) #a
#define TEXT(a) TEXT_(a)

#include "gating/exact.h"
#include "gating/scores.h"
#include "gating/topk.h"
#include "gemm/gemm_float.h"
#include "gemm/peak.h"
#include "rows/activate.h"
#include "rows/accumulate.h"

#define GEMM(name, ...)                                                                                                            \
  static void JOIN(gemm_##name, ISA)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride,       \
                                     const int32_t *rows, int64_t m, int64_t segment, float *y, int64_t y_stride, float *scratch) {   \
    gemm_float(w, decode_##name, moe_format_at(w->format), row_begin, row_end, x, x_stride, rows, m, segment, y, y_stride, scratch);  \
  }
MOE_FORMATS(GEMM)

#define FORMAT_KERNELS(name, ...) {"gemm_" #name "_" TEXT(ISA), JOIN(gemm_##name, ISA)},
static const moe_format_kernels format_kernels[] = {MOE_FORMATS(FORMAT_KERNELS)};

extern const moe_kernels JOIN(moe_kernels, ISA);
const moe_kernels JOIN(moe_kernels, ISA) = {
    .name = TEXT(ISA),
    .supported = supported,
    .formats = format_kernels,
    .router_logits = router_logits,
    .router_scores = router_scores,
    .topk = topk,
    .activate = activate,
    .accumulate = accumulate,
    .peak_multiply_add = peak_multiply_add,
};
