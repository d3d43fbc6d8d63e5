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

/// A borrowed [rows, columns] weight matrix, y = W x, still packed; row r starts at data + r * row_bytes.
///
/// Formats with `scaled` take one scale a group of `group` columns: scale index of (r, c) is
/// (r / group_rows) * scale_stride + c / group, or, when `flat`, (r * columns + c) / group.
/// The scale is widened to f32 and multiplied by `global_scale` (one rounding) before it meets the code.
typedef struct moe_matrix {
  int32_t format;
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

/// Widens columns [column, column + count) of row `row`; `column` and `count` are whole blocks (and whole pairs of 4-bit codes).
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

// ---------------------------------------------------------------- the kernel table

/// The kernels of one weight format on one ISA.
typedef struct moe_format_kernels {
  /// Name of `gemm`, e.g. "gemm_q4_0_avx2".
  const char *name;
  /// y[i * y_stride + (r - row_begin)] = sum over columns of w[r, c] * x[rows[i] * x_stride + c] for r in [row_begin, row_end), i in [0, m).
  ///
  /// The sum runs over segments of `segment` columns (a multiple of the block and of 16, or at least `columns` for one segment):
  /// each in a fixed order of 16 lanes, the segment sums in order. The result of (i, r) does not depend on m, on the
  /// row range or on the other rows. `rows` NULL means the identity. `scratch` holds `moe_gemm_scratch(columns)` floats.
  void (*gemm)(const moe_matrix *w, int64_t row_begin, int64_t row_end, const float *x, int64_t x_stride, const int32_t *rows, int64_t m,
               int64_t segment, float *y, int64_t y_stride, float *scratch);
} moe_format_kernels;

/// Floats of scratch that `gemm` needs for a matrix of `columns`.
int64_t moe_gemm_scratch(int64_t columns);

/// Every kernel of one ISA. Rows of the table are constants; two can be used side by side.
typedef struct moe_kernels {
  const char *name;
  /// True when this CPU and operating system can run the table.
  bool (*supported)(void);
  /// Indexed like `moe_format_at`.
  const moe_format_kernels *formats;
  /// logits[e] = w[e, :] . x + bias[e], products and sums in double: identical on every ISA. `bias` may be NULL.
  void (*router_logits)(const float *x, const float *w, const float *bias, int64_t experts, int64_t hidden, float *logits);
  /// Scores of one row of n logits, computed in double and rounded once: identical on every ISA.
  void (*router_scores)(moe_score kind, const float *logits, int64_t n, float *scores);
  /// Ids of the k largest of n scores, descending, ties to the lower id; NaN and -inf are never taken. Returns how many were found.
  int64_t (*topk)(const float *scores, int64_t n, int64_t k, int32_t *ids);
  /// out[j] = act(gate[j]) * up[j] for gated experts; act(up[j]) when gate is NULL. out may be gate or up.
  void (*activate)(moe_expert_activation activation, const float *gate, const float *up, int64_t n, float *out);
  /// y[j] += weight * x[j].
  void (*accumulate)(float weight, const float *x, int64_t n, float *y);
  /// Multiply-adds in registers only, for measuring this ISA's peak: sets `flops` to their number, 2 a multiply-add and lane.
  float (*peak_multiply_add)(int64_t steps, int64_t *flops);
} moe_kernels;

/// Number of kernel tables compiled in, best first; the last is "scalar" and always supported.
int32_t moe_kernels_count(void);
/// Table `index` of `moe_kernels_count()`.
const moe_kernels *moe_kernels_at(int32_t index);

#ifdef __cplusplus
}
#endif
