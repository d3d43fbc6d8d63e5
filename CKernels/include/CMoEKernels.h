// The whole C interface: weight formats, packed matrices, the kernel table of each ISA.
//
// C kernels allocate nothing, start no thread, do no I/O and keep no mutable global. Arguments are checked by the
// caller; a kernel never reads a size from a file. Sizes and offsets are 64 bits wide everywhere.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// ---------------------------------------------------------------- weight formats

/// How the values of one weight format lie in memory: rows are sequences of blocks of `block_values` values.
typedef struct moe_format {
  /// The format's name in C, Swift, tests, benchmark output and files: "q4_k", "bf16".
  const char *name;
  /// Values in one block; a row holds a whole number of blocks.
  int32_t block_values;
  /// Bytes of one block.
  int32_t block_bytes;
  /// The type's number in GGUF files, or -1.
  int32_t gguf_type;
  /// The type's name in safetensors headers, or NULL.
  const char *safetensors_type;
  /// True when a value is (code - zero) * scale with scale (and zero) from planes beside the data: see moe_matrix.
  bool scaled;
  /// Widens `values` (whole blocks) to f32. Scaled formats apply `scale` and `zero`; the others ignore both.
  void (*decode)(const void *blocks, int64_t values, float scale, float zero, float *out);
  /// Rounds `values` (whole blocks) to the format, or NULL when the package does not write it. Scaled formats write codes of unit scale.
  void (*encode)(const float *values, int64_t count, void *blocks);
} moe_format;

/// Number of weight formats.
int32_t moe_format_count(void);
/// Format `index` of `moe_format_count()`; the reference decoder and encoder, portable C.
const moe_format *moe_format_at(int32_t index);

// ---------------------------------------------------------------- packed matrices

/// Element type of a plane of scales.
typedef enum moe_scale_type { MOE_SCALE_NONE = 0, MOE_SCALE_F32, MOE_SCALE_F16, MOE_SCALE_BF16, MOE_SCALE_E4M3, MOE_SCALE_E8M0 } moe_scale_type;

/// How the rows of a matrix lie in memory.
typedef enum moe_layout {
  /// As published, row after row: row r starts at data + r * row_bytes.
  MOE_ROWS = 0,
  /// In panels of `moe_panel_rows` neighbouring rows side by side, as `pack` writes them; `row_bytes` and scale planes are not read, `group` is.
  MOE_PANELS
} moe_layout;

/// Number of the layout of panels: raised when the bytes of some format's panels change, so that panels kept in files are packed anew.
enum { MOE_PANEL_LAYOUT = 2 };

/// A borrowed [rows, columns] weight matrix, y = W x, still packed.
///
/// Formats with `scaled` take one scale a group of `group` columns: scale index of (r, c) is
/// (r / group_rows) * scale_stride + c / group, or, when `flat`, (r * columns + c) / group.
/// The scale is widened to f32 and multiplied by `global_scale` (one rounding) before it meets the code; so are nvfp4's own. For other formats that
/// hold their scales `global_scale` is 1.
typedef struct moe_matrix {
  int32_t format;
  moe_layout layout;
  int64_t rows, columns, row_bytes;
  const void *data;
  moe_scale_type scale_type;
  bool flat;
  const void *scales;
  /// One u8 a scale, subtracted from the code, or NULL.
  const uint8_t *zeros;
  int64_t group, group_rows, scale_stride;
  float global_scale;
} moe_matrix;

/// Rows of a panel of `format`, or 0 for formats that have no panels.
int64_t moe_panel_rows(int32_t format);
/// The format of a matrix's panels: its own, but nvfp4 for e2m1 codes with E4M3 scales, whose `global_scale` the matrix in panels keeps.
int32_t moe_panel_format(const moe_matrix *w);
/// Bytes of one panel of a matrix that `moe_takes_panels` or lies in them; 0 where its format has none.
int64_t moe_panel_bytes(const moe_matrix *w);

/// True when `pack` takes a matrix of MOE_ROWS: no scale planes; for e2m1 one E8M0 exponent a 32 columns, or one E4M3 scale a 16 columns in whole 64;
/// for int4 and f8_e4m3 any scales for whole 32 columns.
bool moe_takes_panels(const moe_matrix *w);

/// True when `gemm_int8` and `gemm_bf16`, where the format has them, take a matrix: in panels, or with scales as above where panels have its format.
bool moe_takes_rounded(const moe_matrix *w);

/// Widens columns [column, column + count) of row `row`; `column` and `count` are whole blocks (and whole pairs of 4-bit codes), in panels of
/// codes multiples of 32 at least.
void moe_matrix_decode(const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out);

// ---------------------------------------------------------------- activations

/// The inner nonlinearity of an expert.
typedef enum moe_activation {
  MOE_SILU = 0,
  MOE_GELU,       // exact, by erf
  MOE_GELU_TANH,  // tanh approximation
  MOE_RELU,
  MOE_RELU2,      // max(x, 0)^2
  MOE_SWIGLU_OAI  // (up + 1) * gate * sigmoid(alpha * gate)
} moe_activation;

/// What happens between the two GEMMs of an expert.
typedef struct moe_expert_activation {
  moe_activation kind;
  /// gate <- min(gate, limit), up <- clamp(up, -limit, limit) first; infinity for none.
  float limit;
  float alpha;
} moe_expert_activation;

// ---------------------------------------------------------------- router scores

typedef enum moe_score { MOE_SCORE_SOFTMAX = 0, MOE_SCORE_SIGMOID, MOE_SCORE_SQRTSOFTPLUS, MOE_SCORE_IDENTITY } moe_score;

/// Score of a group of experts: its best, or the sum of its two best.
typedef enum moe_group_score { MOE_GROUP_MAX = 0, MOE_GROUP_TOP_TWO_SUM } moe_group_score;

// ---------------------------------------------------------------- the kernel table

/// The most rows of activations that one call of `gemm`, `gemm_int8` or `gemm_bf16` takes.
enum { MOE_GEMM_ROWS = 64 };

/// Bytes of one row of `columns` activations (a multiple of 32) as `round_int8` writes them for products with `format`: 40 or 44 for each 32; 0
/// where the format has no such products.
int64_t moe_int8_row_bytes(int32_t format, int64_t columns);

/// Bytes of one row of `columns` activations as `round_bf16` writes them: 64 for each 32 columns begun.
int64_t moe_bf16_row_bytes(int64_t columns);

/// The kernels of one weight format on one ISA.
typedef struct moe_format_kernels {
  /// Name of `gemm`, e.g. "gemm_q4_0_avx2".
  const char *name;
  /// y[i * y_stride + (r - row_begin)] = sum over columns of w[r, c] * x[rows[i] * x_stride + c] for r in [row_begin, row_end), i in [0, m).
  ///
  /// The sum runs over segments of `segment` columns (a multiple of the block and of 32, of 64 for e2m1, of 256 for int4 and f8_e4m3, or at least
  /// `columns` for one segment): in each, runs of 256 columns are summed in order and their sums in order; the segment sums in order at the end. The result of (i, r)
  /// does not depend on m, on the row range, on the other rows or on the layout. `rows` NULL means the identity; m is at most
  /// MOE_GEMM_ROWS; row_begin is a multiple of 16 where the matrix lies in panels.
  /// `scratch` holds `moe_gemm_scratch()` floats, aligned to 64 bytes.
  void (*gemm)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride, const int32_t *rows, int64_t m,
               int64_t segment, float *y, int64_t y_stride, float *scratch);
  /// Name of `gemm_int8`, e.g. "gemm_int8_q4_0_avx2", or NULL.
  const char *int8_name;
  /// As `gemm`, on the m rows that `round_int8` of the same table and format wrote: products of codes less their zero are summed exactly for each
  /// group of equal scale, the groups in order, each with one fused multiply-add for the scale and one for the minimum. The same bits on every
  /// ISA. Takes what `moe_takes_rounded`. NULL for formats without it.
  void (*gemm_int8)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const void *x, int64_t m, int64_t segment, float *y,
                    int64_t y_stride, float *scratch);
  /// Rounds columns [column, column + count) of rows x[rows[i] * x_stride], i in [0, m), to int8 as `quantize_int8` does, and writes them to their
  /// places among the m rows of `columns` at `rounded`, moe_int8_row_bytes each, in an order that is the table's own. x is at the first of these
  /// columns; column, count and columns are multiples of 32, `rows` NULL means the identity, m is at most MOE_GEMM_ROWS.
  void (*round_int8)(const float *x, int64_t x_stride, const int32_t *rows, int64_t m, int64_t column, int64_t count, int64_t columns,
                     void *rounded);
  /// Quads of columns whose products `gemm_int8` sums in one go, before it widens or scales them; 1 when every pair of products is widened.
  int32_t int8_run;
  /// Name of `gemm_bf16`, e.g. "gemm_bf16_bf16_avx512bf16", or NULL.
  const char *bf16_name;
  /// As `gemm`, on the m rows that `round_bf16` of the same table wrote, pairs of columns at a time: see docs/kernel-contracts.md. Takes
  /// what `moe_takes_rounded`. NULL where the ISA does not multiply bf16, and for formats whose values are not all bf16 numbers.
  void (*gemm_bf16)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const void *x, int64_t m, int64_t segment, float *y,
                    int64_t y_stride, float *scratch);
  /// Rounds to bf16, to the nearest even, NaN stays NaN; otherwise as `round_int8`, moe_bf16_row_bytes a row. `count` need not be a multiple of 32
  /// where the row ends with it.
  void (*round_bf16)(const float *x, int64_t x_stride, const int32_t *rows, int64_t m, int64_t column, int64_t count, int64_t columns,
                     void *rounded);
  /// Writes the panels of rows [row_begin, row_end) of a matrix that `moe_takes_panels`; row_begin is a multiple of the panel's
  /// rows, `panels` the place of the panel of row_begin. The same bytes on every ISA. NULL for formats without panels.
  void (*pack)(const moe_matrix *w, int64_t row_begin, int64_t row_end, void *panels, float *scratch);
} moe_format_kernels;

/// Floats of scratch that `gemm`, `gemm_int8`, `gemm_bf16` and `pack` need, aligned to 64 bytes.
int64_t moe_gemm_scratch(void);

/// Every kernel of one ISA. Rows of the table are constants; two can be used side by side.
typedef struct moe_kernels {
  const char *name;
  /// True when this CPU and operating system can run the table.
  bool (*supported)(void);
  /// Indexed like `moe_format_at`.
  const moe_format_kernels *formats;
  /// logits[i * stride + e] = w[e, :] . x[i * x_stride, :] + bias[e] for i in [0, m), products and sums in double: identical on every ISA
  /// and for every m. `bias` may be NULL.
  void (*router_logits)(const float *x, int64_t x_stride, int64_t m, const float *w, const float *bias, int64_t experts, int64_t hidden,
                        float *logits, int64_t stride);
  /// Scores of one row of n logits, computed in double and rounded once: identical on every ISA.
  void (*router_scores)(moe_score kind, const float *logits, int64_t n, float *scores);
  /// Ids of the k largest of n scores, descending, ties to the lower id; NaN and -inf are never taken. Returns how many were found.
  int64_t (*topk)(const float *scores, int64_t n, int64_t k, int32_t *ids);
  /// Cuts n scores, in `groups` groups of equal size, down to the best `kept` groups, ties to the lower: everywhere else choice[e] becomes
  /// `fill` and, when `fill` is above -inf, scores[e] too. `group_scores` and `ids` are scratch of `groups` each.
  void (*limit_groups)(moe_group_score kind, int64_t groups, int64_t kept, float fill, int64_t n, float *choice, float *scores,
                       float *group_scores, int32_t *ids);
  /// out[j] = act(gate[j]) * up[j] for gated experts; act(up[j]) when gate is NULL. out may be gate or up.
  void (*activate)(moe_expert_activation activation, const float *gate, const float *up, int64_t n, float *out);
  /// Rounds n values (a multiple of 32) to codes in [-127, 127], x about code * scale, a scale for each 32. The same bits on every ISA.
  void (*quantize_int8)(const float *x, int64_t n, int8_t *codes, float *scales);
  /// y[j] = start[j] + sum over i in [0, k) of weight * x[row * x_stride + j], in order of i: row is rows[i], weight is weights[row] * scale.
  /// `rows` NULL means row i, `weights` NULL ones, `start` NULL zeros; y may be start.
  void (*combine)(const float *x, int64_t x_stride, const int64_t *rows, const float *weights, float scale, int64_t k, const float *start,
                  int64_t n, float *y);
  /// y[rows[i] * y_stride + j] += weight * x[i * x_stride + j] for j in [0, n), i in [0, m) in order: weight is weights[i] * scale, NULL for ones. As
  /// `combine` sums.
  void (*add_rows)(const float *x, int64_t x_stride, int64_t m, int64_t n, const float *weights, float scale, const int32_t *rows, float *y,
                   int64_t y_stride);
  /// For measuring peaks: multiply-adds in registers only. `operations` is set to what was done, 2 a multiply-add and lane.
  float (*peak_multiply_add)(int64_t steps, int64_t *operations);
  /// Likewise on int8, the products summed in 16 bits, and in 32 bits.
  float (*peak_int8)(int64_t steps, int64_t *operations);
  float (*peak_int8_wide)(int64_t steps, int64_t *operations);
  /// Likewise on bf16, or NULL.
  float (*peak_bf16)(int64_t steps, int64_t *operations);
} moe_kernels;

/// Number of kernel tables compiled in, best first; the last is "scalar" and always supported.
int32_t moe_kernels_count(void);
/// Table `index` of `moe_kernels_count()`.
const moe_kernels *moe_kernels_at(int32_t index);

// ---------------------------------------------------------------- OpenCL

/// OpenCL C 1.2 source text of CKernels/opencl, by its file's name without folder and extension: "product_tiles", "q4_0"; and of the tables that
/// lie in CKernels/formats: "iq_grids", "uneven_levels". NULL for others. A weight format whose name is known here is read by the OpenCL kernels as
/// it lies.
const char *moe_opencl_text(const char *name);

#ifdef __cplusplus
}
#endif
