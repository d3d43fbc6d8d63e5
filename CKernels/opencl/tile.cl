// First of every program: the sizes that the host chose, and the vocabulary of the kernels.
//
// The host defines the sizes of the product (see docs/opencl.md): GROUP_ROWS, GROUP_TOKENS, ITEM_ROWS, for product_tiles and product_rows
// ITEM_TOKENS, STEP and FEW, for warps WARP_ROWS. And what matrix.cl reads: FORMAT and SCALES, or KINDS.
#pragma OPENCL FP_CONTRACT OFF

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

#ifdef HAS_FMA
#define multiply_add(a, b, c) fma(a, b, c)
#else
#define multiply_add(a, b, c) ((a) * (b) + (c))
#endif

#define UNROLLED _Pragma("unroll")

/// Columns whose products are summed in one chain; the sums of the chains are added in order.
enum { RUN = 256 };

/// Turns rows of eight columns, one after the other in eight vectors: each round puts all even elements before the odd ones.
#define TRANSPOSE(vectors)                                              \
  void transpose_##vectors(vectors *rows) {                              \
    UNROLLED for (int round = 0; round < 3; round++) {                 \
      vectors turned[8];                                                \
      UNROLLED for (int i = 0; i < 4; i++) {                           \
        turned[i] = (vectors)(rows[2 * i].even, rows[2 * i + 1].even);  \
        turned[i + 4] = (vectors)(rows[2 * i].odd, rows[2 * i + 1].odd); \
      }                                                                \
      UNROLLED for (int i = 0; i < 8; i++) rows[i] = turned[i];        \
    }                                                                  \
  }
TRANSPOSE(float8)
TRANSPOSE(float16)
TRANSPOSE(uint16)
