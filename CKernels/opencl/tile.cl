// First of every program: the sizes that the host chose, and the vocabulary of the kernels.
//
// The host defines the sizes of the product (see docs/opencl.md): GROUP_ROWS, GROUP_TOKENS, ITEM_ROWS, and for product_tiles and product_rows
// ITEM_TOKENS, STEP and FEW. And what matrix.cl reads: FORMAT and SCALES, or KINDS.
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
