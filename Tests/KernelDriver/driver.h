// What the parts of the kernel driver share: the size of the run, seeded random numbers, guarded memory, counted checks.
#pragma once
#include <CMoEKernels.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// Rows of every matrix, and of the activations that all batches choose from.
enum { ROWS = 33, TOKENS = 17 };

/// True where only a sample of the shapes runs: under an emulator.
extern bool is_small;

// ---------------------------------------------------------------- checks

typedef struct counts { int64_t passed, failed; } counts;
extern counts total;

/// Counts one check; the first twenty failures are printed.
void check(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Equal bits, any NaN being equal to any other.
bool same_bits(const float *a, const float *b, int64_t count);

/// Adds what has to be the same on every CPU to one number that is printed at the end.
void record_bytes(const void *bytes, int64_t count);
void record_floats(const float *values, int64_t count);

// ---------------------------------------------------------------- random numbers and memory

typedef struct seeded { uint64_t state; } seeded;
uint64_t next_random(seeded *random);
/// 0 ... bound - 1.
int64_t next_below(seeded *random, int64_t bound);
/// In [-1, 1), exact on every CPU.
float next_float(seeded *random);
void fill_floats(seeded *random, float *values, int64_t count, float amplitude);

/// Memory that ends where an unreadable page begins.
void *take_guarded(int64_t bytes);
void give_guarded(void *memory, int64_t bytes);

// ---------------------------------------------------------------- matrices

/// Scales and zero points beside the codes; `group` 0 is the whole row, `type` MOE_SCALE_NONE none.
typedef struct arrangement {
  const char *name;
  moe_scale_type type;
  int64_t group, group_rows;
  bool flat, has_zeros, has_extremes;
  float global;
} arrangement;

/// Arrangement `index` of a format, or NULL behind the last.
const arrangement *arrangement_at(const moe_format *format, int index);

/// A random matrix in memory that ends where it ends, with its values widened by the portable decoder.
typedef struct matrix {
  moe_matrix w;
  float *values;
  int64_t data_bytes, scale_bytes;
} matrix;

matrix make_matrix(int32_t format, const arrangement *scales, int64_t columns, seeded *random);
void free_matrix(matrix *m);

// ---------------------------------------------------------------- parts

/// Products and packing of every format on every shape.
void check_products(const moe_kernels *kernels, const moe_kernels *scalar);
/// Every slot that does not belong to a format.
void check_slots(const moe_kernels *kernels, const moe_kernels *scalar);
