// The portable table: 16 lanes as four vectors of four, mapped by the compiler to the baseline instruction set.
#include "CMoEKernels.h"

#define ISA scalar
#define GEMM_ROWS 2
#define PEAK_CHAINS 3
#define BODY static inline __attribute__((always_inline))

static bool supported(void) { return true; }

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
typedef struct lanes { four part[4]; } lanes;

BODY lanes load_lanes(const float *p) {
  const four *q = (const four *)p;
  return (lanes){{q[0], q[1], q[2], q[3]}};
}

BODY void store_lanes(float *p, lanes v) {
  for (int i = 0; i < 4; i++) ((four *)p)[i] = v.part[i];
}

BODY lanes multiply_add(lanes sum, lanes a, lanes b) {
  for (int i = 0; i < 4; i++) sum.part[i] += a.part[i] * b.part[i];
  return sum;
}

#include "../kernels.h"
