// The OpenCL sources, embedded as they lie in opencl/.
#include "CMoEKernels.h"
#include <string.h>

#pragma clang diagnostic ignored "-Wc23-extensions"

static const char tile[] = {
#embed "opencl/tile.cl" suffix(, 0)
};
static const char matrix[] = {
#embed "opencl/matrix.cl" suffix(, 0)
};
static const char expert[] = {
#embed "opencl/expert.cl" suffix(, 0)
};
static const char product_tiles[] = {
#embed "opencl/product_tiles.cl" suffix(, 0)
};
static const char product_rows[] = {
#embed "opencl/product_rows.cl" suffix(, 0)
};
static const char combine[] = {
#embed "opencl/combine.cl" suffix(, 0)
};
static const char f32[] = {
#embed "opencl/formats/f32.cl" suffix(, 0)
};
static const char f16[] = {
#embed "opencl/formats/f16.cl" suffix(, 0)
};
static const char bf16[] = {
#embed "opencl/formats/bf16.cl" suffix(, 0)
};
static const char q8_0[] = {
#embed "opencl/formats/q8_0.cl" suffix(, 0)
};
static const char q4_0[] = {
#embed "opencl/formats/q4_0.cl" suffix(, 0)
};
static const char q4_k[] = {
#embed "opencl/formats/q4_k.cl" suffix(, 0)
};
static const char q6_k[] = {
#embed "opencl/formats/q6_k.cl" suffix(, 0)
};
static const char mxfp4[] = {
#embed "opencl/formats/mxfp4.cl" suffix(, 0)
};
static const char f8_e4m3[] = {
#embed "opencl/formats/f8_e4m3.cl" suffix(, 0)
};
static const char int4[] = {
#embed "opencl/formats/int4.cl" suffix(, 0)
};
static const char e2m1[] = {
#embed "opencl/formats/e2m1.cl" suffix(, 0)
};

#define SOURCE(name) {#name, name}
static const struct { const char *name, *text; } sources[] = {
    SOURCE(tile), SOURCE(matrix), SOURCE(expert), SOURCE(product_tiles), SOURCE(product_rows), SOURCE(combine),
    SOURCE(f32), SOURCE(f16), SOURCE(bf16), SOURCE(q8_0), SOURCE(q4_0), SOURCE(q4_k), SOURCE(q6_k), SOURCE(mxfp4),
    SOURCE(f8_e4m3), SOURCE(int4), SOURCE(e2m1)};

const char *moe_opencl_text(const char *name) {
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
    if (strcmp(sources[i].name, name) == 0) return sources[i].text;
  return NULL;
}
