// Runs the OpenCL kernels of every format on small matrices in buffers of exactly their size, against naive sums and, on int8 activations, against
// the bits of the CPU's products: for checkers of memory and races.
//
// With the argument "race" or "overrun" it runs a kernel that does just that, which a checker has to report; with the name of a format that alone.
#include "opencl.h"

/// The matrix has a group of rows and a part, the rows of the plan a part of a tile and all sizes of a few.
enum { ROWS = 20, COLUMNS = 768, TOKENS = 19, TILES = 5, TILE = 16, ARRANGED = 48, SEGMENT = 256 };

extern const moe_kernels moe_kernels_scalar;

/// Work-groups of 16 by 16 in items of 8 by 8, panels, four spans of 16 rows, and two warps with 32 or 16 rows each. `sources` end with those of the
/// kernels: the first puts rows in order where `arranges`, the last multiplies, and so does that before it but in panels.
#define TILE_SIZES " -D GROUP_ROWS=16 -D ITEM_ROWS=8 -D ITEM_TOKENS=8 -D STEP=16 -D FEW=4"
#define PANEL_SIZES " -D GROUP_ROWS=32 -D ITEM_ROWS=32"
#define SPAN_SIZES " -D GROUP_ROWS=64 -D ITEM_ROWS=8 -D ITEM_TOKENS=8 -D STEP=16 -D FEW=4"
static const struct method {
  const char *name, *options, *sources[7];
  bool is_panels, arranges;
  enum { TO_NOTHING, TO_INT8, TO_BF16 } rounds;
  bool is_optional;
  /// Weight rows of a group, and its items for many rows and for few.
  size_t group_rows, many, few;
  /// What a device has to have; NULL for nothing.
  const char *extension;
} methods[] = {
    {"tiles", TILE_SIZES, {"product_tiles", "product_rows"}, false, false, TO_NOTHING, false, 16, 4, 16},
    {"panels", PANEL_SIZES, {"store_panel", "arrange_rows", "product_panels"}, true, true, TO_NOTHING, false, 32, 1},
    {"panels of levels", PANEL_SIZES " -D HAS_LEVELS",
     {"store_panel", "integers", "panel_levels", "arrange_rows", "product_panels"}, true, true, TO_NOTHING, false, 32, 1},
    {"tiles, bf16", TILE_SIZES " -D ROUNDS_TO_BF16", {"product_tiles", "product_rows"}, false, false, TO_BF16, false, 16, 4, 16},
    {"panels, bf16", PANEL_SIZES " -D ROUNDS_TO_BF16", {"store_panel", "arrange_rows", "product_panels"}, true, true, TO_BF16, false, 32, 1},
    {"warps, bf16", " -D GROUP_ROWS=64 -D WARP_ROWS=32 -D ITEM_ROWS=16",
     {"mma_emulated", "warps", "product_mma", "round_rows_bf16", "product_tiles_mma", "product_rows_mma"}, false, true, TO_BF16, false, 64, 64, 64},
    {"tiles, int8", TILE_SIZES,
     {"integers", "dot_plain", "dot_sums", "round_rows", "product_tiles_int8", "product_rows_int8"}, false, true, TO_INT8, false, 16, 4, 16},
    {"khr, int8", TILE_SIZES,
     {"integers", "dot_khr", "dot_sums", "round_rows", "product_tiles_int8", "product_rows_int8"}, false, true, TO_INT8, false, 16, 4, 16,
     "cl_khr_integer_dot_product"},
    {"half, int8", TILE_SIZES,
     {"integers", "dot_half", "round_rows", "product_tiles_int8", "product_rows_int8"}, false, true, TO_INT8, false, 16, 4, 16, "cl_khr_fp16"},
    {"spans, int8", SPAN_SIZES,
     {"integers", "dot_plain", "dot_sums", "subgroup_emulated", "round_rows", "product_tiles_int8", "product_rows_subgroups"}, false, true, TO_INT8,
     false, 64, 16, 64},
    {"khr subgroups, int8", SPAN_SIZES,
     {"integers", "dot_plain", "dot_sums", "subgroup_khr", "round_rows", "product_tiles_int8", "product_rows_subgroups"}, false, true, TO_INT8, false,
     64, 16, 64, "cl_khr_subgroup_shuffle"},
    {"warps, int8", " -D GROUP_ROWS=32 -D WARP_ROWS=16 -D ITEM_ROWS=16",
     {"integers", "mma_emulated", "warps", "product_mma_int8", "round_rows", "product_tiles_mma_int8", "product_rows_mma_int8"}, false, true, TO_INT8,
     false, 32, 64, 64},
    {"panels, int8", PANEL_SIZES,
     {"integers", "panel_levels", "panel_floats", "store_panel", "round_rows", "product_panels_int8"}, true, true, TO_INT8, false, 32, 1},
    {"bytes, int8", PANEL_SIZES,
     {"integers", "panel_levels", "panel_bytes", "store_panel", "round_rows", "product_panels_int8"}, true, true, TO_INT8, true, 32, 1}};

/// The struct `matrix` of matrix.cl.
typedef struct place {
  int64_t codes, row_bytes, scales, scale_stride, zeros, groups;
  int32_t group, group_rows, columns, kind, flags;
  float global_scale;
} place;

/// Blocks of any bytes whose values are neither large nor all small.
static void random_blocks(const moe_format *format, int values, uint8_t *codes, float *decoded) {
  for (int i = 0; i < values; i += format->block_values, codes += format->block_bytes, decoded += format->block_values) {
    float largest;
    do {
      for (int b = 0; b < format->block_bytes; b++) codes[b] = (uint8_t)(random_bits() >> 24);
      format->decode(codes, format->block_values, 1, 0, decoded);
      largest = 0;
      for (int v = 0; v < format->block_values; v++) largest = fabsf(decoded[v]) <= largest ? largest : fabsf(decoded[v]);
    } while (!(largest > 0x1p-8f && largest < 16));
  }
}

/// Of the matrices of formats that take one beside their own scales.
static float factor_of(const moe_format *format) { return strcmp(format->name, "nvfp4") == 0 ? 0.7f : 1; }

/// Where blocks allow it, no multiple of the columns that lanes take at once.
static int columns_of(const moe_format *format) { return format->block_values > 32 ? COLUMNS : COLUMNS - 32; }

/// What the portable kernels make of a product on int8 activations: rows of x weighed, in the order of the plan; down's segments of 256 columns.
static void multiply_rounded(const moe_format *format, int index, const uint8_t *codes, const float *weighed, float *products) {
  static uint8_t rounded[TOKENS * COLUMNS / 32 * 44];
  static _Alignas(64) float scratch[1 << 14];
  const moe_format_kernels *kernels = &moe_kernels_scalar.formats[index];
  const int columns = columns_of(format);
  const moe_matrix matrix = {
      .format = index, .rows = ROWS, .columns = columns, .row_bytes = columns / format->block_values * format->block_bytes, .data = codes,
      .global_scale = factor_of(format)};
  kernels->round_int8(weighed, columns, NULL, TOKENS, 0, columns, columns, rounded);
  kernels->gemm_int8(&matrix, 0, ROWS, rounded, TOKENS, SEGMENT, products, ROWS, scratch);
}

/// The nearest bf16.
static float rounded_to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
  memcpy(&value, &bits, 4);
  return value;
}

/// Products, gated, with biases, weighed and gathered inputs; and the sum. Returns the largest error: on int8 activations 0, or 1 where some bits are
/// not the CPU's; NaN where an optional program does not build.
static double run(const moe_format *format, int index, const struct method *method) {
  char with[512];
  const float factor = factor_of(format);
  snprintf(
      with, sizeof with, "-cl-std=CL%s -D GROUP_TOKENS=%d%s -D FORMAT=%s -D SCALES=%s", strncmp(method->name, "khr", 3) ? "1.2" : "3.0", TILE,
      method->options, format->name, factor == 1 ? "none" : "factor");
  const char *names[] = {"tile", "bits", "uneven_levels", "iq_grids", "iq", format->name, "matrix", "expert", "combine"};
  enum { SHARED = sizeof names / sizeof *names, OWN = sizeof method->sources / sizeof *method->sources };
  const char *texts[SHARED + OWN];
  cl_uint count = SHARED;
  for (int i = 0; i < SHARED; i++) texts[i] = moe_opencl_text(names[i]);
  for (int i = 0; i < OWN && method->sources[i]; i++) texts[count++] = moe_opencl_text(method->sources[i]);
  const char *const *kernels = method->sources + count - SHARED - (method->arranges ? method->is_panels ? 2 : 3 : 2);
  cl_program program = build(count, texts, with, method->is_optional);
  if (!program) return NAN;
  static float decoded[2 * ROWS * COLUMNS], x[TOKENS * COLUMNS], biases[2 * ROWS], y[TOKENS * ROWS], sums[TOKENS * ROWS];
  static uint8_t codes[2 * ROWS * COLUMNS * 4];
  const int32_t columns = columns_of(format);
  for (int i = 0; i < TOKENS * columns; i++) x[i] = random_value();
  for (int i = 0; i < 2 * ROWS; i++) biases[i] = random_value();
  size_t bytes = (size_t)ROWS * columns / format->block_values * format->block_bytes;
  random_blocks(format, 2 * ROWS * columns, codes, decoded);
  // Tiles of 9, 4, 3, 2 and 1 rows of a plan; tokens in reverse; coefficients; rows of each token.
  int32_t lists[4 * TILES + 4 * TOKENS + 1] = {
      0, 0, 9, 0, 0, 9, 4, TILE, 0, 13, 3, TILE + 8, 0, 16, 2, TILE + 16, 0, 18, 1, TILE + 24};
  int32_t tokens = 4 * TILES, coefficients = tokens + TOKENS, rows_of = coefficients + TOKENS, offsets = rows_of + TOKENS;
  for (int i = 0; i < TOKENS; i++) {
    float coefficient = 1 + random_value() / 2;
    lists[tokens + i] = TOKENS - 1 - i, lists[rows_of + i] = TOKENS - 1 - i, lists[offsets + i] = i;
    memcpy(&lists[coefficients + i], &coefficient, 4);
  }
  lists[offsets + TOKENS] = TOKENS;
  place places[2] = {{.row_bytes = (int64_t)bytes / ROWS, .global_scale = factor}};
  places[1] = places[0];
  cl_mem matrices = buffer(places, sizeof places), up = buffer(codes, bytes), gate = buffer(codes + bytes, bytes);
  cl_mem bias = buffer(biases, sizeof biases), list = buffer(lists, sizeof lists), input = buffer(x, (size_t)TOKENS * (size_t)columns * 4), output = buffer(NULL, sizeof y), sum = buffer(NULL, sizeof sums);
  float limit = INFINITY, alpha = 1;
  int32_t zero = 0, one = 1, rows = ROWS, segment = SEGMENT, flags = 31 | (method->rounds == TO_INT8 ? MOE_RELU : MOE_SILU) << 8;
  const bool gives_bf16 = method->rounds == TO_BF16 && !method->is_panels;
  cl_mem arranged = method->arranges ? buffer(NULL, (size_t)ARRANGED * (size_t)columns / 32 * (method->rounds == TO_INT8 ? 44 : gives_bf16 ? 64 : 128)) : input;
  if (method->arranges) {
    cl_kernel kernel = kernel_of(program, *kernels++);
    const int32_t *numbers[] = {&zero, &tokens, &coefficients, &columns, &columns, &flags};
    set(kernel, 0, sizeof list, &list), set(kernel, 4, sizeof input, &input), set(kernel, 5, sizeof arranged, &arranged);
    for (int i = 0; i < 3; i++) set(kernel, 1 + i, 4, numbers[i]), set(kernel, 6 + i, 4, numbers[3 + i]);
    if (method->rounds == TO_INT8) set(kernel, 9, 4, &segment);
    if (gives_bf16) launch(kernel, (size_t)columns / 8, 0, TILES, 0);
    else launch(kernel, COLUMNS / SEGMENT, 0, TILES, 1);
  }
  for (int k = 0; k < (method->is_panels ? 1 : 2); k++) {
    cl_kernel kernel = kernel_of(program, kernels[k]);
    cl_mem *buffers[] = {&matrices, &up, &up, &gate, &gate, &bias, &list};
    const int32_t *places_of[] = {&zero, &tokens, &coefficients}, *numbers[] = {&zero, &one, &rows, &columns, &columns, &flags};
    for (int i = 0; i < 7; i++) set(kernel, i, sizeof(cl_mem), buffers[i]);
    for (int i = 0; i < 3; i++) set(kernel, 7 + i, 4, places_of[i]);
    set(kernel, 10, sizeof(cl_mem), &arranged), set(kernel, 11, sizeof(cl_mem), &output);
    for (int i = 0; i < 6; i++) set(kernel, 12 + i, 4, numbers[i]);
    set(kernel, 18, 4, &limit), set(kernel, 19, 4, &alpha);
    if (method->rounds == TO_INT8) set(kernel, 20, 4, &segment);
    size_t groups = (2 * ROWS + method->group_rows - 1) / method->group_rows, group = k ? method->few : method->many;
    if (method->is_panels) launch(kernel, groups, 0, TILES, group);
    else launch(kernel, groups * group, k ? 1 : 0, k ? TILES - 1 : 1, group);
  }
  cl_kernel combine = kernel_of(program, "combine");
  cl_mem *buffers[] = {&output, &list, &input, &sum};
  int32_t combined = 2;
  for (int i = 0; i < 2; i++) set(combine, i, sizeof(cl_mem), buffers[i]), set(combine, 6 + i, sizeof(cl_mem), buffers[2 + i]);
  set(combine, 2, 4, &offsets), set(combine, 3, 4, &rows_of), set(combine, 4, 4, &coefficients), set(combine, 5, 4, &zero);
  set(combine, 8, 4, &rows), set(combine, 9, 4, &combined), set(combine, 10, 4, &alpha);
  launch(combine, ROWS, 0, TOKENS, 0);
  check(clEnqueueReadBuffer(queue, output, CL_TRUE, 0, sizeof y, y, 0, NULL, NULL), "clEnqueueReadBuffer");
  check(clEnqueueReadBuffer(queue, sum, CL_TRUE, 0, sizeof sums, sums, 0, NULL, NULL), "clEnqueueReadBuffer");
  static float weighed_rows[TOKENS * COLUMNS], products[2][TOKENS * ROWS];
  for (int i = 0; i < TOKENS * columns; i++) {
    float coefficient;
    memcpy(&coefficient, &lists[coefficients + i / columns], 4);
    weighed_rows[i] = x[(TOKENS - 1 - i / columns) * columns + i % columns] * coefficient;
    if (method->rounds == TO_BF16) weighed_rows[i] = rounded_to_bf16(weighed_rows[i]);
  }
  for (int p = 0; p < 2 && method->rounds == TO_INT8; p++) multiply_rounded(format, index, codes + (size_t)p * bytes, weighed_rows, products[p]);
  double largest = 0;
  for (int i = 0; i < TOKENS; i++)
    for (int r = 0; r < ROWS; r++) {
      if (method->rounds == TO_INT8) {
        float up = products[0][i * ROWS + r] + biases[r], gate = products[1][i * ROWS + r] + biases[ROWS + r];
        if (y[i * ROWS + r] != (gate < 0 ? 0 : gate) * up) largest = 1;
        continue;
      }
      float coefficient;
      memcpy(&coefficient, &lists[coefficients + i], 4);
      double product[2], norm = 1;
      for (int p = 0; p < 2; p++) {
        product[p] = biases[p * ROWS + r];
        double squares = 1;
        for (int c = 0; c < columns; c++) {
          double part = (double)decoded[(p * ROWS + r) * columns + c] * factor * weighed_rows[i * columns + c];
          product[p] += part, squares += part * part;
        }
        norm *= sqrt(squares);
      }
      double expected = product[1] / (1 + exp(-product[1])) * product[0], weighed = coefficient * y[i * ROWS + r];
      double error = fmax(fabs(y[i * ROWS + r] - expected) / norm, fabs(sums[(TOKENS - 1 - i) * ROWS + r] - weighed) / norm);
      largest = error <= largest ? largest : error;
    }
  return largest;
}

/// True for a NULL `extension`.
static bool device_has(const char *extension) {
  static char extensions[1 << 15];
  check(clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, sizeof extensions - 2, extensions + 1, NULL), "clGetDeviceInfo");
  if (!extension) return true;
  char word[64];
  snprintf(word, sizeof word, " %s ", extension);
  extensions[0] = ' ', strcat(extensions, " ");
  return strstr(extensions, word);
}

/// Formats for dot_half.cl.
static bool is_exact_in_half(const char *format) {
  static const char *const names[] = {"q4_0", "q2_k", "q3_k", "tq1_0", "tq2_0"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(format, names[i])) return true;
  return false;
}

static int plant(const char *defect) {
  const char *texts[] = {
      "kernel void race(global int *p) { local int q[8]; int i = get_local_id(0); q[i] = i; p[i] = q[(i + 1) % 8]; }"
      "kernel void overrun(global int *p) { p[get_global_id(0) + 1] = 0; }"};
  cl_kernel kernel = kernel_of(build(1, texts, "-cl-std=CL1.2", false), defect);
  cl_mem target = buffer(NULL, 8 * sizeof(int));
  set(kernel, 0, sizeof target, &target);
  launch(kernel, 8, 0, 1, 8);
  return 0;
}

int main(int count, char **arguments) {
  open_device();
  if (count > 1 && !moe_opencl_text(arguments[1])) return plant(arguments[1]);
  int failed = 0, formats = 0, not_built = 0, skipped = 0;
  for (int i = 0; i < moe_format_count(); i++) {
    const moe_format *format = moe_format_at(i);
    if (!moe_opencl_text(format->name) || (count > 1 && strcmp(format->name, arguments[1]))) continue;
    formats++;
    const moe_matrix matrix = {.format = i, .rows = ROWS, .columns = COLUMNS, .global_scale = factor_of(format)};
    const bool rounds[] = {true, moe_kernels_scalar.formats[i].gemm_int8 && moe_takes_rounded(&matrix), !strcmp(format->name, "bf16")};
    for (size_t k = 0; k < sizeof methods / sizeof *methods; k++) {
      if (!rounds[methods[k].rounds] || (strstr(methods[k].name, "levels") && !rounds[TO_INT8])) continue;
      if (!strncmp(methods[k].name, "half", 4) && !is_exact_in_half(format->name)) continue;
      if (!device_has(methods[k].extension)) {
        skipped++;
        continue;
      }
      double error = run(format, i, &methods[k]);
      if (isnan(error) && methods[k].is_optional) {
        not_built++;
        continue;
      }
      printf("%-8s %-12s error %.1e\n", format->name, methods[k].name, error);
      failed += !(error <= (methods[k].rounds == TO_INT8 ? 0 : 2e-5));
    }
  }
  printf(
      "%d formats, %d failed, %d programs that this compiler does not build, %d for extensions that this device does not have\n", formats, failed,
      not_built, skipped);
  return failed || !formats;
}
