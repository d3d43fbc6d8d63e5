// `gemm`, `gemm_int8` and `pack` of every format: against naive sums in double, the scalar table's bits, and themselves on other shapes.
#include "driver.h"

static const float guard = -1234.5f;
enum { MARGIN = 5 };

/// One matrix in rows and panels, activations, one segment and the results of each (token, row) computed alone.
typedef struct problem {
  const moe_kernels *kernels;
  const char *format, *scales;
  matrix m;
  moe_matrix panels;
  int64_t panel_bytes, segment, x_stride;
  /// f32 rows lie `x_stride` apart with NaN between them; `dense` are the same rows side by side.
  float *x, *dense;
  /// The rows of `dense` rounded to int8.
  int8_t *codes;
  float *scales_of_codes;
  bool is_int8;
  float alone[TOKENS * ROWS];
} problem;

/// y [m, row_end - row_begin] of one call; false where anything around it or behind the scratch was written.
static bool run(const problem *p, bool in_panels, int64_t row_begin, int64_t row_end, const int32_t *rows, int64_t m, float *y) {
  static float out[MOE_GEMM_ROWS * (ROWS + 2) + 2 * MARGIN];
  static _Alignas(64) float scratch[1 << 15];
  int64_t width = row_end - row_begin, stride = width + 2, count = m * stride + 2 * MARGIN, scratch_count = moe_gemm_scratch();
  for (int64_t i = 0; i < count; i++) out[i] = guard;
  for (int64_t i = 0; i < m; i++)
    for (int64_t r = 0; r < width; r++) out[MARGIN + i * stride + r] = NAN;
  for (int64_t i = 0; i < scratch_count; i++) scratch[i] = NAN;
  for (int i = 0; i < 16; i++) scratch[scratch_count + i] = guard;
  const moe_matrix *w = in_panels ? &p->panels : &p->m.w;
  const moe_format_kernels *kernels = &p->kernels->formats[w->format];
  if (p->is_int8) {
    int64_t k = w->columns, bytes = m * moe_int8_row_bytes(w->format, k), step = width % 2 ? 96 : 32;
    uint8_t *rounded = take_guarded(bytes);
    for (int64_t c = 0; c < k; c += step) kernels->round_int8(p->dense + c, k, rows, m, c, k - c < step ? k - c : step, k, rounded);
    kernels->gemm_int8(w, row_begin, row_end, rounded, m, p->segment, out + MARGIN, stride, scratch);
    give_guarded(rounded, bytes);
  } else
    kernels->gemm(w, row_begin, row_end, p->x, p->x_stride, rows, m, p->segment, out + MARGIN, stride, scratch);
  bool is_untouched = true;
  for (int64_t i = -MARGIN; i < m * stride + MARGIN; i++) {
    if (i >= 0 && i < m * stride && i % stride < width)
      *y++ = out[MARGIN + i];
    else
      is_untouched &= out[MARGIN + i] == guard;
  }
  for (int i = 0; i < 16; i++) is_untouched &= scratch[scratch_count + i] == guard;
  return is_untouched;
}

static double norm(const float *v, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)v[i] * (double)v[i];
  return sqrt(sum);
}

/// Every (token, row) alone, against the naive sum. Runs of at most 256 products in order, the runs in order, the segments in order; each
/// step rounds at most twice. On int8, steps are groups of 16 or 32 columns, but code and minimum of an unsigned format are each up to four
/// times the weight that they cancel to.
static void check_alone(problem *p) {
  int64_t k = p->m.w.columns;
  double run_steps = p->is_int8 ? 4.0 * (double)(k / 16) : k < 256 ? (double)k : 256.0;
  double steps = run_steps + (double)k / 256 + (double)k / (double)p->segment + 8, worst = 0;
  bool holds = true;
  for (int32_t t = 0; t < TOKENS; t++) {
    const float *x = p->dense + t * k;
    double length = norm(x, k);
    for (int64_t r = 0; r < ROWS; r++) {
      float *y = &p->alone[t * ROWS + r];
      const float *w = p->m.values + r * k;
      holds &= run(p, false, r, r + 1, &t, 1, y);
      double sum = 0;
      for (int64_t c = 0; c < k; c++)
        sum += (double)w[c] * (p->is_int8 ? (double)p->codes[t * k + c] * (double)p->scales_of_codes[(t * k + c) / 32] : (double)x[c]);
      // A product of scales below the normal numbers is off by 2^-150, times a sum of codes below 2^18.
      double bound = steps * (0x1p-23 * norm(w, k) * length + 0x1p-132), error = fabs((double)*y - sum);
      if (sum != sum && *y != *y) continue;
      if (!(error <= bound)) holds = false, worst = fmax(worst, error / bound);
    }
  }
  check(holds, "%s %s %s [%d, %lld] segment %lld: %.1f times the bound off naive sums", p->format, p->is_int8 ? "int8" : "f32", p->scales, ROWS,
        (long long)k, (long long)p->segment, worst);
}

/// Other batches, row ranges and layouts give the bits of (token, row) alone.
static void check_cells(const problem *p, int64_t index, seeded *random) {
  static const int64_t few[] = {0, 1, 2, 7, 17, MOE_GEMM_ROWS};
  static float y[MOE_GEMM_ROWS * ROWS];
  for (int64_t at = 0; at < (is_small ? 6 : TOKENS + 2); at++) {
    int64_t m = is_small ? few[at] : at <= TOKENS ? at : MOE_GEMM_ROWS;
    for (int in_panels = 0; in_panels <= (p->panels.data != NULL); in_panels++) {
      int64_t width = (index * 5 + at * 7 + in_panels) % ROWS + 1, begin = next_below(random, ROWS - width + 1);
      bool is_gathered = m > TOKENS || (index + at) % 2;
      int32_t rows[MOE_GEMM_ROWS];
      if (in_panels) begin = begin / 16 * 16;
      for (int64_t i = 0; i < m; i++) rows[i] = is_gathered ? (int32_t)next_below(random, TOKENS) : (int32_t)i;
      bool holds = run(p, in_panels, begin, begin + width, is_gathered ? rows : NULL, m, y);
      for (int64_t i = 0; i < m; i++) holds &= same_bits(y + i * width, p->alone + rows[i] * ROWS + begin, width);
      check(holds, "%s %s %s [%d, %lld] segment %lld in %s, rows %lld ..< %lld, %lld tokens%s: other bits than alone, or written outside", p->format,
            p->is_int8 ? "int8" : "f32", p->scales, ROWS, (long long)p->m.w.columns, (long long)p->segment, in_panels ? "panels" : "rows",
            (long long)begin, (long long)(begin + width), (long long)m, is_gathered ? ", gathered" : "");
    }
  }
}

/// Packs in two calls and compares with the scalar table's panels.
static void check_pack(problem *p, const moe_kernels *scalar, bool is_recorded) {
  static _Alignas(64) float scratch[1 << 15];
  int32_t format = p->m.w.format;
  int64_t k = p->m.w.columns, width = moe_panel_rows(format), size = moe_panel_bytes(&p->m.w);
  p->panel_bytes = (ROWS + width - 1) / width * size;
  uint8_t *panels = take_guarded(p->panel_bytes), *expected = take_guarded(p->panel_bytes);
  memset(panels, 0xaa, (size_t)p->panel_bytes), memset(expected, 0x55, (size_t)p->panel_bytes);
  scalar->formats[format].pack(&p->m.w, 0, ROWS, expected, scratch);
  p->kernels->formats[format].pack(&p->m.w, 0, width, panels, scratch);
  p->kernels->formats[format].pack(&p->m.w, width, ROWS, panels + size, scratch);
  check(!memcmp(panels, expected, (size_t)p->panel_bytes), "%s %s [%d, %lld]: other panels than the scalar table's", p->format, p->scales, ROWS,
        (long long)k);
  if (is_recorded) record_bytes(expected, p->panel_bytes);
  give_guarded(expected, p->panel_bytes);
  p->panels = p->m.w, p->panels.layout = MOE_PANELS, p->panels.row_bytes = 0, p->panels.data = panels;
  float *widened = malloc((size_t)k * sizeof *widened);
  bool holds = true;
  for (int64_t r = 0; r < ROWS; r++) {
    moe_matrix_decode(&p->panels, r, 0, k, widened);
    for (int64_t c = 0; c < k; c++) holds &= widened[c] == p->m.values[r * k + c] || widened[c] != widened[c];
  }
  check(holds, "%s %s [%d, %lld]: panels stand for other values", p->format, p->scales, ROWS, (long long)k);
  free(widened);
}

/// Activations on the heap: f32 with NaN between the rows, and int8 where the columns are whole groups.
static void make_activations(problem *p, const moe_kernels *scalar, seeded *random) {
  int64_t k = p->m.w.columns;
  p->x_stride = k + 3;
  p->dense = malloc((size_t)(TOKENS * k) * sizeof(float));
  p->x = take_guarded((TOKENS * p->x_stride - 3) * (int64_t)sizeof(float));
  fill_floats(random, p->dense, TOKENS * k, 1);
  for (int64_t i = 0; i < TOKENS * p->x_stride - 3; i++) p->x[i] = i % p->x_stride < k ? p->dense[i / p->x_stride * k + i % p->x_stride] : (float)NAN;
  if (k % 32) return;
  p->codes = take_guarded(TOKENS * k), p->scales_of_codes = take_guarded(TOKENS * k / 32 * 4);
  scalar->quantize_int8(p->dense, TOKENS * k, p->codes, p->scales_of_codes);
}

static void free_problem(problem *p) {
  int64_t k = p->m.w.columns;
  if (p->codes) give_guarded(p->codes, TOKENS * k), give_guarded(p->scales_of_codes, TOKENS * k / 32 * 4);
  give_guarded(p->x, (TOKENS * p->x_stride - 3) * (int64_t)sizeof(float));
  free(p->dense);
  if (p->panels.data) give_guarded((void *)p->panels.data, p->panel_bytes);
  free_matrix(&p->m);
}

static void check_problem(const moe_kernels *kernels, const moe_kernels *scalar, int32_t format, const arrangement *scales, int64_t columns,
                          int64_t index, bool is_recorded) {
  static problem p, reference;
  seeded random = {(uint64_t)(format * 1000 + index)};
  const moe_format *f = moe_format_at(format);
  int64_t block = f->scaled && scales->group % 32 == 0 ? scales->group : f->block_values, unit = block % 32 || block == 0 ? 32 : block;
  int64_t segments[] = {columns, (columns / 3 + unit) / unit * unit, unit};
  p = (problem){.kernels = kernels, .format = f->name, .scales = scales->name, .segment = segments[index % 3]};
  p.m = make_matrix(format, scales, columns, &random);
  make_activations(&p, scalar, &random);
  if (is_recorded) record_bytes(p.m.w.data, p.m.data_bytes), record_floats(p.m.values, ROWS * columns);
  if (moe_takes_panels(&p.m.w)) check_pack(&p, scalar, is_recorded);
  check_alone(&p);
  check_cells(&p, index, &random);
  if (moe_takes_int8(&p.m.w)) {
    p.is_int8 = true;
    reference = p, reference.kernels = scalar;
    check_alone(&p);
    if (kernels != scalar) {
      for (int32_t t = 0; t < TOKENS; t++)
        for (int64_t r = 0; r < ROWS; r += 11) run(&reference, false, r, r + 11, &t, 1, &reference.alone[t * ROWS + r]);
      check(same_bits(p.alone, reference.alone, TOKENS * ROWS), "%s int8 %s [%d, %lld] segment %lld: other bits than the scalar table's", p.format,
            p.scales, ROWS, (long long)columns, (long long)p.segment);
    }
    if (is_recorded) record_floats(p.alone, TOKENS * ROWS);
    check_cells(&p, index, &random);
  }
  free_problem(&p);
}

/// NaN, +-infinity, or a finite number within `bound`.
static bool is_like(float y, double expected, double bound) {
  return expected != expected ? y != y : fabs(expected) == INFINITY ? (double)y == expected : fabs((double)y - expected) <= bound;
}

/// Plain elements and activations that are not finite give what their sums in double give, and touch no other result; tokens 4 and 5 are as
/// small, and as large, as the bound holds for on every ISA.
static void check_special_values(const moe_kernels *kernels, const moe_kernels *scalar) {
  static const char *const plain[] = {"f32", "f16", "bf16"};
  static problem p;
  static float y[TOKENS * ROWS];
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    int32_t format = 0;
    while (strcmp(moe_format_at(format)->name, plain[i])) format++;
    const moe_format *f = moe_format_at(format);
    seeded random = {41 + (uint64_t)i};
    const int64_t k = 300, weights[][2] = {{3, 7}, {5, 20}, {8, 100}, {8, 299}, {32, 299}}, inputs[][2] = {{1, 9}, {2, 299}, {3, 7}, {6, 7}, {6, 9}};
    const float weight_values[] = {INFINITY, NAN, INFINITY, -INFINITY, -INFINITY}, input_values[] = {-INFINITY, NAN, 0, INFINITY, -INFINITY};
    p = (problem){.kernels = kernels, .format = f->name, .scales = "special values", .segment = 128};
    p.m = make_matrix(format, arrangement_at(f, 0), k, &random);
    make_activations(&p, scalar, &random);
    for (int j = 0; j < 5; j++) {
      int64_t at = weights[j][0] * k + weights[j][1];
      f->encode(&weight_values[j], 1, (uint8_t *)p.m.w.data + at * f->block_bytes);
      p.m.values[at] = weight_values[j];
      p.dense[inputs[j][0] * k + inputs[j][1]] = input_values[j];
    }
    for (int64_t c = 0; c < k; c++) p.dense[4 * k + c] *= 0x1p-98f, p.dense[5 * k + c] *= 0x1p100f;
    for (int64_t t = 0; t < TOKENS; t++) memcpy(p.x + t * p.x_stride, p.dense + t * k, (size_t)k * sizeof(float));
    check_pack(&p, scalar, false);
    for (int in_panels = 0; in_panels < 2; in_panels++) {
      bool holds = run(&p, in_panels, 0, ROWS, NULL, TOKENS, y);
      for (int64_t t = 0; t < TOKENS; t++)
        for (int64_t r = 0; r < ROWS; r++) {
          double sum = 0, product = 0, w2 = 0, x2 = 0;
          for (int64_t c = 0; c < k; c++) {
            double w = (double)p.m.values[r * k + c], x = (double)p.dense[t * k + c];
            product = w * x, sum += product, w2 += w * w, x2 += x * x;
          }
          holds &= is_like(y[t * ROWS + r], sum, 16 * 0x1p-23 * sqrt(w2) * sqrt(x2));
        }
      check(holds, "%s [%d, %lld] in %s: other values than the sums of special values", p.format, ROWS, (long long)k, in_panels ? "panels" : "rows");
    }
    free_problem(&p);
  }
}

void check_products(const moe_kernels *kernels, const moe_kernels *scalar) {
  // The first of each list are the small run's, and what is recorded of the scalar table.
  static const int64_t single[] = {67, 300, 1, 2, 7, 8, 9, 16, 31, 32, 33, 127, 255, 256, 257, 513, 1031};
  static const int64_t blocks[] = {3, 9, 1, 2, 4, 5, 7, 8, 17};
  for (int32_t format = 0; format < moe_format_count(); format++) {
    const moe_format *f = moe_format_at(format);
    const arrangement *scales;
    for (int a = 0; (scales = arrangement_at(f, a)); a++) {
      int64_t group = f->block_values == 2 && !scales->flat ? scales->group : f->block_values;
      bool is_wide = group >= 256;
      int count = group <= 2 ? sizeof single / sizeof *single : sizeof blocks / sizeof *blocks - (is_wide ? 2 : 0);
      int first = is_wide ? 1 : 2;
      for (int i = 0; i < (is_small ? first : count); i++) {
        int64_t columns = group * (group <= 2 ? single[i] : blocks[i]);
        check_problem(kernels, scalar, format, scales, columns, a * 100 + i + format, i < first && kernels == scalar);
      }
    }
  }
  check_special_values(kernels, scalar);
}
