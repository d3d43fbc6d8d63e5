// What the products of experts share: their arguments, the rows of a group, inputs, and what happens to a finished sum.

/// Bits of `flags`; the activation's number lies above them.
enum { GATED = 1, ACTIVATES = 2, HAS_BIAS = 4, WEIGHS_INPUT = 8, GATHERS = 16, ACTIVATION_SHIFT = 8 };

/// Matrices are [rows, columns]: up (or down) of `experts` experts, then gate of each. A tile is (expert, first row, number of rows) of the dispatch
/// plan; tiles left over have no rows. `inputs` is the width of a row of x: at most 7 less than columns, which are filled up with zeros. `tiles`,
/// `tokens` and `weights` are places in `lists`.
#define PRODUCT_PARAMETERS                                                                                                                       \
  const global matrix *matrices, const global uchar *up_codes, const global uchar *up_planes, const global uchar *gate_codes,                   \
      const global uchar *gate_planes, const global float *biases, const global int *lists, int tiles, int tokens, int weights,                 \
      const global float *x, global float *y, int first_expert, int experts, int rows, int columns, int inputs, int flags, float limit, float alpha
/// What the functions below take of them.
#define PRODUCT_WEIGHTS matrices, up_codes, up_planes, gate_codes, gate_planes, expert, experts, rows, columns
#define PRODUCT_INPUTS x, lists, tokens, weights, inputs, flags
#define PRODUCT_END biases, expert, experts, rows, flags, limit, alpha

/// Rows of a gated group take turns: half of an item's are up rows, the other half the gate rows that belong to them.
int row_of(int place, int flags) { return flags & GATED ? place / ITEM_ROWS * (ITEM_ROWS / 2) + place % (ITEM_ROWS / 2) : place; }
bool is_gate(int place, int flags) { return flags & GATED && place % ITEM_ROWS >= ITEM_ROWS / 2; }
/// Output rows of a group.
int rows_of_group(int flags) { return flags & GATED ? GROUP_ROWS / 2 : GROUP_ROWS; }

/// Weights [row][column ... column + 7], zeros outside the matrix.
float8 row_values(
    const global matrix *matrices, const global uchar *up_codes, const global uchar *up_planes, const global uchar *gate_codes,
    const global uchar *gate_planes, int expert, int experts, int rows, int columns, int row, bool gate, int column) {
  if (row >= rows || column >= columns) return 0;
  return gate ? weights_at(matrices + experts + expert, gate_codes, gate_planes, row, column)
              : weights_at(matrices + expert, up_codes, up_planes, row, column);
}

/// Inputs [column ... column + 7] of a row of the plan, zeros behind its end; rounded to bf16 where the program is compiled for that.
float8 inputs_at(const global float *x, const global int *lists, int tokens, int weights, int inputs, int flags, int planned, int column) {
  const global float *row = x + (long)(flags & GATHERS ? lists[tokens + planned] : planned) * inputs;
  float8 values;
  if (column + 8 <= inputs) {
    values = vload8(0, row + column);
  } else {
    float single[8];
    for (int i = 0; i < 8; i++) single[i] = column + i < inputs ? row[column + i] : 0;
    values = vload8(0, single);
  }
  if (flags & WEIGHS_INPUT) values *= as_float(lists[weights + planned]);
#ifdef ROUNDS_TO_BF16
  values = float_of_bf16(bf16_of_float(values));
#endif
  return values;
}

/// Nonlinearities of numbers or vectors, of kinds as in CMoEKernels.h: silu, gelu, gelu_tanh, relu, relu2; and gated ones: act(gate) * up, or
/// (up + 1) * gate * sigmoid(alpha * gate) for kind 5, swiglu_oai.
#define NONLINEARITIES(floats)                                                                                           \
  floats sigmoid_##floats(floats x) { return 1 / (1 + exp(-x)); }                                                        \
  floats activation_##floats(int kind, floats x) {                                                                       \
    switch (kind) {                                                                                                      \
      case 1: return 0.5f * x * (1 + erf(x * 0.70710678f));                                                              \
      case 2: return x * sigmoid_##floats(1.5957691216f * (x + 0.044715f * x * x * x));                                  \
      case 3: return x < 0 ? (floats)0 : x;                                                                              \
      case 4: return x < 0 ? (floats)0 : x * x;                                                                          \
      default: return x == -INFINITY ? (floats)0 : x * sigmoid_##floats(x);                                              \
    }                                                                                                                    \
  }                                                                                                                      \
  floats gated_##floats(int kind, floats gate, floats up, float limit, float alpha) {                                    \
    gate = gate > limit ? (floats)limit : gate;                                                                          \
    up = up > limit ? (floats)limit : up < -limit ? (floats)-limit : up;                                                 \
    if (kind != 5) return activation_##floats(kind, gate) * up;                                                          \
    return (up + 1) * (gate == -INFINITY ? (floats)0 : gate * sigmoid_##floats(alpha * gate));                           \
  }
NONLINEARITIES(float)

/// The output of a row from its sums: biases, activation.
float finished(float up, float gate, const global float *biases, int expert, int experts, int rows, int flags, float limit, float alpha, int row) {
  if (flags & HAS_BIAS) {
    up += biases[(long)expert * rows + row];
    if (flags & GATED) gate += biases[(long)(experts + expert) * rows + row];
  }
  if (!(flags & ACTIVATES)) return up;
  int kind = flags >> ACTIVATION_SHIFT;
  return flags & GATED ? gated_float(kind, gate, up, limit, alpha) : activation_float(kind, up);
}

/// One item's share of the outputs of a tile of few rows, `count` from row `first` of the plan on; `items` of a group have the sums before them.
void store_few(
    const local float (*sums)[GROUP_ROWS], int item, int items, int first, int count, int first_row, global float *y, const global float *biases,
    int expert, int experts, int rows, int flags, float limit, float alpha) {
  const int outputs = rows_of_group(flags);
  for (int output = item; output < outputs; output += items) {
    const int place = flags & GATED ? output / (ITEM_ROWS / 2) * ITEM_ROWS + output % (ITEM_ROWS / 2) : output, row = first_row + output;
    for (int i = 0; i < count && row < rows; i++)
      y[(long)(first + i) * rows + row] = finished(sums[i][place], sums[i][flags & GATED ? place + ITEM_ROWS / 2 : place], PRODUCT_END, row);
  }
}
