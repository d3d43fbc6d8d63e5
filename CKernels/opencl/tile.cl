// First of every program: the sizes that the host chose, and the vocabulary of the kernels.
//
// The host defines GROUP_ROWS, GROUP_TOKENS, ITEM_ROWS (8 or 16), ITEM_TOKENS, STEP and FEW (see docs/opencl.md), and what matrix.cl reads: FORMAT
// and SCALES, or KINDS.
#pragma OPENCL FP_CONTRACT OFF

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
/// Weight rows of one item, side by side.
typedef JOIN(float, ITEM_ROWS) item_rows;
#define load_item_rows JOIN(vload, ITEM_ROWS)
#define store_item_rows JOIN(vstore, ITEM_ROWS)

#ifdef HAS_FMA
#define multiply_add(a, b, c) fma(a, b, c)
#else
#define multiply_add(a, b, c) ((a) * (b) + (c))
#endif

#define UNROLLED _Pragma("unroll")

/// Columns whose products are summed in one chain; the sums of the chains are added in order.
enum { RUN = 256 };
