// The OpenCL sources, embedded as they lie in opencl/, and the tables of formats/ that they share with C.
#include "CMoEKernels.h"
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const struct { const char *name, *text; } sources[] = {
    {"tile", (const char[]){
#embed "opencl/tile.cl" suffix(, 0)
    }},
    {"bits", (const char[]){
#embed "opencl/bits.cl" suffix(, 0)
    }},
    {"uneven_levels", (const char[]){
#embed "formats/uneven_levels.h" suffix(, 0)
    }},
    {"iq_grids", (const char[]){
#embed "formats/iq_grids.h" suffix(, 0)
    }},
    {"iq", (const char[]){
#embed "opencl/iq.cl" suffix(, 0)
    }},
    {"matrix", (const char[]){
#embed "opencl/matrix.cl" suffix(, 0)
    }},
    {"expert", (const char[]){
#embed "opencl/expert.cl" suffix(, 0)
    }},
    {"product_tiles", (const char[]){
#embed "opencl/product_tiles.cl" suffix(, 0)
    }},
    {"product_rows", (const char[]){
#embed "opencl/product_rows.cl" suffix(, 0)
    }},
    {"arrange_rows", (const char[]){
#embed "opencl/arrange_rows.cl" suffix(, 0)
    }},
    {"store_panel", (const char[]){
#embed "opencl/store_panel.cl" suffix(, 0)
    }},
    {"product_panels", (const char[]){
#embed "opencl/product_panels.cl" suffix(, 0)
    }},
    {"integers", (const char[]){
#embed "opencl/integers.cl" suffix(, 0)
    }},
    {"round_rows", (const char[]){
#embed "opencl/round_rows.cl" suffix(, 0)
    }},
    {"dot_plain", (const char[]){
#embed "opencl/dot_plain.cl" suffix(, 0)
    }},
    {"dot_khr", (const char[]){
#embed "opencl/dot_khr.cl" suffix(, 0)
    }},
    {"dot_arm", (const char[]){
#embed "opencl/dot_arm.cl" suffix(, 0)
    }},
    {"dot_ptx", (const char[]){
#embed "opencl/dot_ptx.cl" suffix(, 0)
    }},
    {"dot_half", (const char[]){
#embed "opencl/dot_half.cl" suffix(, 0)
    }},
    {"dot_sums", (const char[]){
#embed "opencl/dot_sums.cl" suffix(, 0)
    }},
    {"product_tiles_int8", (const char[]){
#embed "opencl/product_tiles_int8.cl" suffix(, 0)
    }},
    {"product_rows_int8", (const char[]){
#embed "opencl/product_rows_int8.cl" suffix(, 0)
    }},
    {"subgroup_khr", (const char[]){
#embed "opencl/subgroup_khr.cl" suffix(, 0)
    }},
    {"subgroup_ptx", (const char[]){
#embed "opencl/subgroup_ptx.cl" suffix(, 0)
    }},
    {"subgroup_emulated", (const char[]){
#embed "opencl/subgroup_emulated.cl" suffix(, 0)
    }},
    {"product_rows_subgroups", (const char[]){
#embed "opencl/product_rows_subgroups.cl" suffix(, 0)
    }},
    {"panel_levels", (const char[]){
#embed "opencl/panel_levels.cl" suffix(, 0)
    }},
    {"panel_floats", (const char[]){
#embed "opencl/panel_floats.cl" suffix(, 0)
    }},
    {"panel_bytes", (const char[]){
#embed "opencl/panel_bytes.cl" suffix(, 0)
    }},
    {"product_panels_int8", (const char[]){
#embed "opencl/product_panels_int8.cl" suffix(, 0)
    }},
    {"mma_ptx", (const char[]){
#embed "opencl/mma_ptx.cl" suffix(, 0)
    }},
    {"mma_emulated", (const char[]){
#embed "opencl/mma_emulated.cl" suffix(, 0)
    }},
    {"round_rows_bf16", (const char[]){
#embed "opencl/round_rows_bf16.cl" suffix(, 0)
    }},
    {"warps", (const char[]){
#embed "opencl/warps.cl" suffix(, 0)
    }},
    {"product_mma", (const char[]){
#embed "opencl/product_mma.cl" suffix(, 0)
    }},
    {"product_tiles_mma", (const char[]){
#embed "opencl/product_tiles_mma.cl" suffix(, 0)
    }},
    {"product_rows_mma", (const char[]){
#embed "opencl/product_rows_mma.cl" suffix(, 0)
    }},
    {"product_mma_int8", (const char[]){
#embed "opencl/product_mma_int8.cl" suffix(, 0)
    }},
    {"product_tiles_mma_int8", (const char[]){
#embed "opencl/product_tiles_mma_int8.cl" suffix(, 0)
    }},
    {"product_rows_mma_int8", (const char[]){
#embed "opencl/product_rows_mma_int8.cl" suffix(, 0)
    }},
    {"combine", (const char[]){
#embed "opencl/combine.cl" suffix(, 0)
    }},
    {"plan", (const char[]){
#embed "opencl/plan.cl" suffix(, 0)
    }},
    {"doubles", (const char[]){
#embed "opencl/doubles.cl" suffix(, 0)
    }},
    {"exact", (const char[]){
#embed "gating/exact.h" suffix(, 0)
    }},
    {"router_logits", (const char[]){
#embed "opencl/router_logits.cl" suffix(, 0)
    }},
    {"route", (const char[]){
#embed "opencl/route.cl" suffix(, 0)
    }},
    {"f32", (const char[]){
#embed "opencl/formats/f32.cl" suffix(, 0)
    }},
    {"f16", (const char[]){
#embed "opencl/formats/f16.cl" suffix(, 0)
    }},
    {"bf16", (const char[]){
#embed "opencl/formats/bf16.cl" suffix(, 0)
    }},
    {"q4_0", (const char[]){
#embed "opencl/formats/q4_0.cl" suffix(, 0)
    }},
    {"q4_1", (const char[]){
#embed "opencl/formats/q4_1.cl" suffix(, 0)
    }},
    {"q5_0", (const char[]){
#embed "opencl/formats/q5_0.cl" suffix(, 0)
    }},
    {"q5_1", (const char[]){
#embed "opencl/formats/q5_1.cl" suffix(, 0)
    }},
    {"q8_0", (const char[]){
#embed "opencl/formats/q8_0.cl" suffix(, 0)
    }},
    {"q2_k", (const char[]){
#embed "opencl/formats/q2_k.cl" suffix(, 0)
    }},
    {"q3_k", (const char[]){
#embed "opencl/formats/q3_k.cl" suffix(, 0)
    }},
    {"q4_k", (const char[]){
#embed "opencl/formats/q4_k.cl" suffix(, 0)
    }},
    {"q5_k", (const char[]){
#embed "opencl/formats/q5_k.cl" suffix(, 0)
    }},
    {"q6_k", (const char[]){
#embed "opencl/formats/q6_k.cl" suffix(, 0)
    }},
    {"iq2_xxs", (const char[]){
#embed "opencl/formats/iq2_xxs.cl" suffix(, 0)
    }},
    {"iq2_xs", (const char[]){
#embed "opencl/formats/iq2_xs.cl" suffix(, 0)
    }},
    {"iq3_xxs", (const char[]){
#embed "opencl/formats/iq3_xxs.cl" suffix(, 0)
    }},
    {"iq1_s", (const char[]){
#embed "opencl/formats/iq1_s.cl" suffix(, 0)
    }},
    {"iq4_nl", (const char[]){
#embed "opencl/formats/iq4_nl.cl" suffix(, 0)
    }},
    {"iq3_s", (const char[]){
#embed "opencl/formats/iq3_s.cl" suffix(, 0)
    }},
    {"iq2_s", (const char[]){
#embed "opencl/formats/iq2_s.cl" suffix(, 0)
    }},
    {"iq4_xs", (const char[]){
#embed "opencl/formats/iq4_xs.cl" suffix(, 0)
    }},
    {"iq1_m", (const char[]){
#embed "opencl/formats/iq1_m.cl" suffix(, 0)
    }},
    {"tq1_0", (const char[]){
#embed "opencl/formats/tq1_0.cl" suffix(, 0)
    }},
    {"tq2_0", (const char[]){
#embed "opencl/formats/tq2_0.cl" suffix(, 0)
    }},
    {"mxfp4", (const char[]){
#embed "opencl/formats/mxfp4.cl" suffix(, 0)
    }},
    {"nvfp4", (const char[]){
#embed "opencl/formats/nvfp4.cl" suffix(, 0)
    }},
    {"f8_e4m3", (const char[]){
#embed "opencl/formats/f8_e4m3.cl" suffix(, 0)
    }},
    {"f8_e5m2", (const char[]){
#embed "opencl/formats/f8_e5m2.cl" suffix(, 0)
    }},
    {"int4", (const char[]){
#embed "opencl/formats/int4.cl" suffix(, 0)
    }},
    {"nf4", (const char[]){
#embed "opencl/formats/nf4.cl" suffix(, 0)
    }},
    {"e2m1", (const char[]){
#embed "opencl/formats/e2m1.cl" suffix(, 0)
    }},
};

const char *moe_opencl_text(const char *name) {
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    if (strcmp(sources[i].name, name) == 0) return sources[i].text;
  return NULL;
}
