// Runs the OpenCL kernels of every format on small matrices in buffers of exactly their size, against naive sums: for checkers of memory and races.
//
// With the argument "race" or "overrun" it runs a kernel that does just that, which a checker has to report.
#define CL_TARGET_OPENCL_VERSION 120
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include "CMoEKernels.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The matrix has a group of rows and a part, the rows of the plan a tile, a part of one and a few.
enum { ROWS = 20, COLUMNS = 512, TOKENS = 23, TILES = 3, TILE = 16, ARRANGED = 32 };

/// Work-groups of 16 by 16 in items of 8 by 8, and panels.
static const struct method {
  const char *name, *options, *kernels[2];
  size_t group_rows;
} methods[] = {
    {"tiles", "-D GROUP_ROWS=16 -D ITEM_ROWS=8 -D ITEM_TOKENS=8 -D STEP=16 -D FEW=4", {"product_tiles", "product_rows"}, 16},
    {"panels", "-D GROUP_ROWS=32 -D ITEM_ROWS=32", {"arrange_rows", "product_panels"}, 32}};

/// The struct `matrix` of matrix.cl.
typedef struct place {
  int64_t codes, row_bytes, scales, scale_stride, zeros, groups;
  int32_t group, group_rows, columns, kind, flags;
  float global_scale;
} place;

static cl_context context;
static cl_command_queue queue;
static cl_device_id device;

static void check(cl_int status, const char *what) {
  if (status == CL_SUCCESS) return;
  printf("%s: %d\n", what, status);
  exit(1);
}

static cl_program build(cl_uint count, const char **texts, const char *with) {
  cl_int status;
  cl_program program = clCreateProgramWithSource(context, count, texts, NULL, &status);
  check(status, "clCreateProgramWithSource");
  status = clBuildProgram(program, 1, &device, with, NULL, NULL);
  static char log[1 << 14];
  if (status != CL_SUCCESS) clGetProgramBuildInfo(program, device, CL_PROGRAM_BUILD_LOG, sizeof log, log, NULL);
  check(status, log);
  return program;
}

static cl_kernel kernel_of(cl_program program, const char *name) {
  cl_int status;
  cl_kernel kernel = clCreateKernel(program, name, &status);
  check(status, name);
  return kernel;
}

static cl_mem buffer(const void *values, size_t bytes) {
  cl_int status;
  cl_mem made = clCreateBuffer(context, CL_MEM_READ_WRITE | (values ? CL_MEM_COPY_HOST_PTR : 0), bytes, (void *)values, &status);
  check(status, "clCreateBuffer");
  return made;
}

static void launch(cl_kernel kernel, size_t width, size_t first, size_t height, size_t group) {
  size_t offset[] = {0, first}, global[] = {width, height}, local[] = {group, 1};
  check(clEnqueueNDRangeKernel(queue, kernel, 2, offset, global, group ? local : NULL, 0, NULL, NULL), "clEnqueueNDRangeKernel");
  check(clFinish(queue), "clFinish");
}

static void set(cl_kernel kernel, int index, size_t bytes, const void *value) {
  check(clSetKernelArg(kernel, (cl_uint)index, bytes, value), "clSetKernelArg");
}

static uint32_t random_bits(void) {
  static uint32_t state = 1;
  state = state * 1664525 + 1013904223;
  return state;
}
static float random_value(void) { return (float)(int32_t)random_bits() * 0x1p-31f; }

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

/// Products, gated, with biases, weighed and gathered inputs; and the sum. Returns the largest error.
static double run(const moe_format *format, const struct method *method) {
  char with[512];
  snprintf(with, sizeof with, "-cl-std=CL1.2 -D GROUP_TOKENS=%d %s -D FORMAT=%s -D SCALES=none", TILE, method->options, format->name);
  const char *names[] = {"tile", "bits", "uneven_levels", "iq_grids", "iq", format->name, "matrix", "expert",
                         method->kernels[0], method->kernels[1], "combine"};
  enum { SOURCES = sizeof names / sizeof *names };
  const char *texts[SOURCES];
  for (int i = 0; i < SOURCES; i++) texts[i] = moe_opencl_text(names[i]);
  cl_program program = build(SOURCES, texts, with);
  static float decoded[2 * ROWS * COLUMNS], x[TOKENS * COLUMNS], biases[2 * ROWS], y[TOKENS * ROWS], sums[TOKENS * ROWS];
  static uint8_t codes[2 * ROWS * COLUMNS * 4];
  for (int i = 0; i < TOKENS * COLUMNS; i++) x[i] = random_value();
  for (int i = 0; i < 2 * ROWS; i++) biases[i] = random_value();
  size_t bytes = (size_t)ROWS * COLUMNS / format->block_values * format->block_bytes;
  random_blocks(format, 2 * ROWS * COLUMNS, codes, decoded);
  // Tiles of 16, 4 and 3 rows of two experts' plan; tokens in reverse; coefficients; rows of each token.
  int32_t lists[4 * TILES + 4 * TOKENS + 1] = {0, 0, TILE, 0, 0, TILE, 4, TILE, 0, TILE + 4, 3, TILE + 8};
  int32_t tokens = 4 * TILES, coefficients = tokens + TOKENS, rows_of = coefficients + TOKENS, offsets = rows_of + TOKENS;
  for (int i = 0; i < TOKENS; i++) {
    float coefficient = 1 + random_value() / 2;
    lists[tokens + i] = TOKENS - 1 - i, lists[rows_of + i] = TOKENS - 1 - i, lists[offsets + i] = i;
    memcpy(&lists[coefficients + i], &coefficient, 4);
  }
  lists[offsets + TOKENS] = TOKENS;
  place places[2] = {{.row_bytes = (int64_t)bytes / ROWS}};
  places[1] = places[0];
  cl_mem matrices = buffer(places, sizeof places), up = buffer(codes, bytes), gate = buffer(codes + bytes, bytes);
  cl_mem bias = buffer(biases, sizeof biases), list = buffer(lists, sizeof lists), input = buffer(x, sizeof x), output = buffer(NULL, sizeof y), sum = buffer(NULL, sizeof sums);
  float limit = INFINITY, alpha = 1;
  int32_t zero = 0, one = 1, rows = ROWS, columns = COLUMNS, flags = 31 | MOE_SILU << 8;
  const int panels = method == &methods[1];
  cl_mem arranged = panels ? buffer(NULL, ARRANGED * COLUMNS * sizeof(float)) : input;
  if (panels) {
    cl_kernel kernel = kernel_of(program, method->kernels[0]);
    int32_t *numbers[] = {&zero, &tokens, &coefficients, &columns, &columns, &flags};
    set(kernel, 0, sizeof list, &list), set(kernel, 4, sizeof input, &input), set(kernel, 5, sizeof arranged, &arranged);
    for (int i = 0; i < 3; i++) set(kernel, 1 + i, 4, numbers[i]), set(kernel, 6 + i, 4, numbers[3 + i]);
    launch(kernel, COLUMNS / 256, 0, TILES, 1);
  }
  for (int k = panels; k < 2; k++) {
    cl_kernel kernel = kernel_of(program, method->kernels[k]);
    cl_mem *buffers[] = {&matrices, &up, &up, &gate, &gate, &bias, &list};
    int32_t *places_of[] = {&zero, &tokens, &coefficients}, *numbers[] = {&zero, &one, &rows, &columns, &columns, &flags};
    for (int i = 0; i < 7; i++) set(kernel, i, sizeof(cl_mem), buffers[i]);
    for (int i = 0; i < 3; i++) set(kernel, 7 + i, 4, places_of[i]);
    set(kernel, 10, sizeof(cl_mem), &arranged), set(kernel, 11, sizeof(cl_mem), &output);
    for (int i = 0; i < 6; i++) set(kernel, 12 + i, 4, numbers[i]);
    set(kernel, 18, 4, &limit), set(kernel, 19, 4, &alpha);
    size_t group = panels ? 1 : k ? 16 : 4, groups = (2 * ROWS + method->group_rows - 1) / method->group_rows;
    if (panels) launch(kernel, groups, 0, TILES, group);
    else launch(kernel, groups * group, k ? 1 : 0, k ? 2 : 1, group);
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
  double largest = 0;
  for (int i = 0; i < TOKENS; i++)
    for (int r = 0; r < ROWS; r++) {
      float coefficient;
      memcpy(&coefficient, &lists[coefficients + i], 4);
      double product[2], norm = 1;
      for (int p = 0; p < 2; p++) {
        product[p] = biases[p * ROWS + r];
        double squares = 1;
        for (int c = 0; c < COLUMNS; c++) {
          double part = (double)decoded[(p * ROWS + r) * COLUMNS + c] * x[(TOKENS - 1 - i) * COLUMNS + c] * coefficient;
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

static int plant(const char *defect) {
  const char *texts[] = {
      "kernel void race(global int *p) { local int q[8]; int i = get_local_id(0); q[i] = i; p[i] = q[(i + 1) % 8]; }"
      "kernel void overrun(global int *p) { p[get_global_id(0) + 1] = 0; }"};
  cl_kernel kernel = kernel_of(build(1, texts, "-cl-std=CL1.2"), defect);
  cl_mem target = buffer(NULL, 8 * sizeof(int));
  set(kernel, 0, sizeof target, &target);
  launch(kernel, 8, 0, 1, 8);
  return 0;
}

int main(int count, char **arguments) {
  cl_platform_id platform;
  cl_int status;
  check(clGetPlatformIDs(1, &platform, NULL), "clGetPlatformIDs");
  check(clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, NULL), "clGetDeviceIDs");
  context = clCreateContext(NULL, 1, &device, NULL, NULL, &status);
  check(status, "clCreateContext");
  queue = clCreateCommandQueue(context, device, 0, &status);
  check(status, "clCreateCommandQueue");
  if (count > 1) return plant(arguments[1]);
  int failed = 0, formats = 0;
  for (int i = 0; i < moe_format_count(); i++) {
    const moe_format *format = moe_format_at(i);
    if (!moe_opencl_text(format->name)) continue;
    formats++;
    for (int k = 0; k < 2; k++) {
      double error = run(format, &methods[k]);
      printf("%-8s %-6s error %.1e\n", format->name, methods[k].name, error);
      failed += !(error <= 1e-5);
    }
  }
  printf("%d formats, %d failed\n", formats, failed);
  return failed || !formats;
}
