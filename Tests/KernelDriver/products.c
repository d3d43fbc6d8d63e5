// `gemm`, `gemm_int8`, `gemm_bf16` and `pack` of every format: against naive sums in double, the scalar table's bits, and themselves on other shapes.
#include "driver.h"

static const float guard = -1234.5f;

static int32_t format_named(const char *name) {
  int32_t format = 0;
  while (strcmp(moe_format_at(format)->name, name)) format++;
  return format;
}

enum { MARGIN = 5 };

/// What the activations are rounded to.
typedef enum precision { F32, INT8, BF16 } precision;
static const char *const precision_names[] = {"f32", "int8", "bf16"};

/// One matrix in rows and panels, activations, one segment and the results of each (token, row) computed alone.
typedef struct problem {
  const moe_kernels *kernels;
  const char *format, *scales;
  matrix m;
  moe_matrix panels;
  int64_t panel_bytes, segment, x_stride;
  /// f32 rows lie `x_stride` apart with NaN between them; `dense` are the same rows side by side.
  float *x, *dense;
  /// The rows of `dense` rounded to int8, and the values of those rounded to bf16.
  int8_t *codes;
  float *scales_of_codes, *rounded;
  precision precision;
  /// Kernels on rounded activations may take a matrix in panels alone.
  bool only_panels;
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
  if (p->precision) {
    bool is_int8 = p->precision == INT8;
    int64_t k = w->columns, bytes = m * (is_int8 ? moe_int8_row_bytes(w->format, k) : moe_bf16_row_bytes(k)), step = width % 2 ? 96 : 32;
    uint8_t *rounded = take_guarded(bytes);
    for (int64_t c = 0; c < k; c += step)
      (is_int8 ? kernels->round_int8 : kernels->round_bf16)(p->x + c, p->x_stride, rows, m, c, k - c < step ? k - c : step, k, rounded);
    (is_int8 ? kernels->gemm_int8 : kernels->gemm_bf16)(w, row_begin, row_end, rounded, m, p->segment, out + MARGIN, stride, scratch);
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

/// One row of the matrix for one token.
static bool run_row(const problem *p, int64_t r, const int32_t *token, float *y) {
  float rows[16];
  int64_t begin = p->only_panels ? r / 16 * 16 : r;
  bool holds = run(p, p->only_panels, begin, r + 1, token, 1, rows);
  *y = rows[r - begin];
  return holds;
}

static double norm(const float *v, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) sum += (double)v[i] * (double)v[i];
  return sqrt(sum);
}

/// Column c of a token as the products take it.
static double activation(const problem *p, int64_t i) {
  return p->precision == INT8 ? (double)p->codes[i] * (double)p->scales_of_codes[i / 32] : (double)(p->precision ? p->rounded : p->dense)[i];
}

/// Every (token, row) alone, against the naive sum. Runs of at most 256 products in order, the runs in order, the segments in order; each
/// step rounds at most twice. On int8, steps are groups of 16 or 32 columns, but code and minimum of an unsigned format are each up to four
/// times the weight that they cancel to. Rounding to bf16 moves an activation by 2^-8 of it at most.
static void check_alone(problem *p) {
  int64_t k = p->m.w.columns;
  double run_steps = p->precision == INT8 ? 4.0 * (double)(k / 16) : k < 256 ? (double)k : 256.0;
  double steps = run_steps + (double)k / 256 + (double)k / (double)p->segment + 8, worst = 0;
  bool holds = true;
  for (int32_t t = 0; t < TOKENS; t++) {
    const float *x = p->dense + t * k;
    double length = norm(x, k);
    for (int64_t r = 0; r < ROWS; r++) {
      float *y = &p->alone[t * ROWS + r];
      const float *w = p->m.values + r * k;
      holds &= run_row(p, r, &t, y);
      double sum = 0, exact = 0;
      for (int64_t c = 0; c < k; c++) sum += (double)w[c] * activation(p, t * k + c), exact += (double)w[c] * (double)x[c];
      // A product of scales below the normal numbers is off by 2^-150, times a sum of codes below 2^18.
      double bound = steps * (0x1p-23 * norm(w, k) * length + 0x1p-132), error = fabs((double)*y - sum);
      if (sum != sum && *y != *y) continue;
      if (!(error <= bound)) holds = false, worst = fmax(worst, error / bound);
      if (p->precision == BF16) holds &= fabs((double)*y - exact) <= bound + 0x1p-8 * norm(w, k) * length;
    }
  }
  check(holds, "%s %s %s [%d, %lld] segment %lld: %.1f times the bound off naive sums", p->format, precision_names[p->precision], p->scales, ROWS,
        (long long)k, (long long)p->segment, worst);
}

/// Other batches, row ranges and layouts give the bits of (token, row) alone.
static void check_cells(const problem *p, int64_t index, seeded *random) {
  static const int64_t few[] = {0, 1, 2, 7, 17, MOE_GEMM_ROWS};
  static float y[MOE_GEMM_ROWS * ROWS];
  for (int64_t at = 0; at < (is_small ? 6 : TOKENS + 2); at++) {
    int64_t m = is_small ? few[at] : at <= TOKENS ? at : MOE_GEMM_ROWS;
    for (int in_panels = p->only_panels; in_panels <= (p->panels.data != NULL); in_panels++) {
      int64_t width = (index * 5 + at * 7 + in_panels) % ROWS + 1, begin = next_below(random, ROWS - width + 1);
      bool is_gathered = m > TOKENS || (index + at) % 2;
      int32_t rows[MOE_GEMM_ROWS];
      if (in_panels) begin = begin / 16 * 16;
      for (int64_t i = 0; i < m; i++) rows[i] = is_gathered ? (int32_t)next_below(random, TOKENS) : (int32_t)i;
      bool holds = run(p, in_panels, begin, begin + width, is_gathered ? rows : NULL, m, y);
      for (int64_t i = 0; i < m; i++) holds &= same_bits(y + i * width, p->alone + rows[i] * ROWS + begin, width);
      check(holds, "%s %s %s [%d, %lld] segment %lld in %s, rows %lld ..< %lld, %lld tokens%s: other bits than alone, or written outside", p->format,
            precision_names[p->precision], p->scales, ROWS, (long long)p->m.w.columns, (long long)p->segment, in_panels ? "panels" : "rows",
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
  p->panels = p->m.w, p->panels.format = moe_panel_format(&p->m.w), p->panels.layout = MOE_PANELS, p->panels.row_bytes = 0, p->panels.data = panels;
  float *widened = malloc((size_t)k * sizeof *widened);
  bool holds = true;
  for (int64_t r = 0; r < ROWS; r++) {
    moe_matrix_decode(&p->panels, r, 0, k, widened);
    for (int64_t c = 0; c < k; c++) holds &= widened[c] == p->m.values[r * k + c] || widened[c] != widened[c];
  }
  check(holds, "%s %s [%d, %lld]: panels stand for other values", p->format, p->scales, ROWS, (long long)k);
  free(widened);
}

/// Sets rows of activations: f32 with NaN between them, and rounded.
static void set_rounded(problem *p) {
  int64_t k = p->m.w.columns, bf16 = format_named("bf16");
  for (int64_t i = 0; i < TOKENS * p->x_stride - 3; i++) p->x[i] = i % p->x_stride < k ? p->dense[i / p->x_stride * k + i % p->x_stride] : (float)NAN;
  for (int64_t i = 0; i < TOKENS * k; i++) {
    uint16_t half;
    moe_format_at((int32_t)bf16)->encode(p->dense + i, 1, &half);
    moe_format_at((int32_t)bf16)->decode(&half, 1, 1, 0, p->rounded + i);
  }
}

/// Activations on the heap, int8 where the columns are whole groups.
static void make_activations(problem *p, const moe_kernels *scalar, seeded *random) {
  int64_t k = p->m.w.columns;
  p->x_stride = k + 3;
  p->dense = malloc((size_t)(TOKENS * k) * sizeof(float)), p->rounded = malloc((size_t)(TOKENS * k) * sizeof(float));
  p->x = take_guarded((TOKENS * p->x_stride - 3) * (int64_t)sizeof(float));
  fill_floats(random, p->dense, TOKENS * k, 1);
  set_rounded(p);
  if (k % 32) return;
  p->codes = take_guarded(TOKENS * k), p->scales_of_codes = take_guarded(TOKENS * k / 32 * 4);
  scalar->quantize_int8(p->dense, TOKENS * k, p->codes, p->scales_of_codes);
}

static void free_problem(problem *p) {
  int64_t k = p->m.w.columns;
  if (p->codes) give_guarded(p->codes, TOKENS * k), give_guarded(p->scales_of_codes, TOKENS * k / 32 * 4);
  give_guarded(p->x, (TOKENS * p->x_stride - 3) * (int64_t)sizeof(float));
  free(p->dense), free(p->rounded);
  if (p->panels.data) give_guarded((void *)p->panels.data, p->panel_bytes);
  free_matrix(&p->m);
}

static void check_problem(const moe_kernels *kernels, const moe_kernels *scalar, int32_t format, const arrangement *scales, int64_t columns,
                          int64_t index, bool is_recorded) {
  static problem p, reference;
  seeded random = {(uint64_t)(format * 1000 + index)};
  const moe_format *f = moe_format_at(format);
  bool has_long_blocks = !strcmp(f->name, "int4") || !strcmp(f->name, "f8_e4m3");
  int64_t unit = has_long_blocks ? 256 : !strcmp(f->name, "e2m1") ? 64 : f->block_values > 32 ? f->block_values : 32;
  int64_t segments[] = {columns, (columns / 3 + unit) / unit * unit, unit};
  p = (problem){.kernels = kernels, .format = f->name, .scales = scales->name, .segment = segments[index % 3]};
  p.m = make_matrix(format, scales, columns, &random);
  make_activations(&p, scalar, &random);
  if (is_recorded) record_bytes(p.m.w.data, p.m.data_bytes), record_floats(p.m.values, ROWS * columns);
  if (moe_takes_panels(&p.m.w)) check_pack(&p, scalar, is_recorded);
  check_alone(&p);
  check_cells(&p, index, &random);
  p.only_panels = p.panels.data && !moe_takes_rounded(&p.m.w);
  const moe_matrix *rounded = p.only_panels ? &p.panels : &p.m.w;
  if (kernels->formats[rounded->format].gemm_int8 && moe_takes_rounded(rounded)) {
    p.precision = INT8;
    reference = p, reference.kernels = scalar;
    check_alone(&p);
    if (kernels != scalar) {
      for (int32_t t = 0; t < TOKENS; t++)
        for (int64_t r = 0; r < ROWS; r++) run_row(&reference, r, &t, &reference.alone[t * ROWS + r]);
      check(same_bits(p.alone, reference.alone, TOKENS * ROWS), "%s int8 %s [%d, %lld] segment %lld: other bits than the scalar table's", p.format,
            p.scales, ROWS, (long long)columns, (long long)p.segment);
    }
    if (is_recorded) record_floats(p.alone, TOKENS * ROWS);
    check_cells(&p, index, &random);
  }
  if (kernels->formats[format].gemm_bf16) {
    p.precision = BF16;
    check_alone(&p);
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
    int32_t format = format_named(plain[i]);
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
    set_rounded(&p);
    check_pack(&p, scalar, false);
    for (int way = 0; way < (kernels->formats[format].gemm_bf16 ? 4 : 2); way++) {
      bool in_panels = way % 2;
      p.precision = way < 2 ? F32 : BF16;
      bool holds = run(&p, in_panels, 0, ROWS, NULL, TOKENS, y);
      for (int64_t t = 0; t < TOKENS; t++)
        for (int64_t r = 0; r < ROWS; r++) {
          double sum = 0, product = 0, w2 = 0, x2 = 0;
          for (int64_t c = 0; c < k; c++) {
            double w = (double)p.m.values[r * k + c], x = activation(&p, t * k + c);
            product = w * x, sum += product, w2 += w * w, x2 += x * x;
          }
          holds &= is_like(y[t * ROWS + r], sum, 16 * 0x1p-23 * sqrt(w2) * sqrt(x2));
        }
      check(holds, "%s %s [%d, %lld] in %s: other values than the sums of special values", p.format, precision_names[p.precision], ROWS, (long long)k,
            in_panels ? "panels" : "rows");
    }
    free_problem(&p);
  }
}

/// One row rounded to bf16 is what the format's encoder makes of it, zeros behind the last column.
static void check_rounding(const moe_kernels *kernels) {
  static const float awkward[] = {NAN, INFINITY, -INFINITY, 0, -0.0f, 0x1p-149f, 0x1p-133f, -0x1.ffp-127f, 0x1.fffffep127f, 0x1.01p0f, 0x1.03p0f,
                                  0x1.0101p0f};
  int32_t format = format_named("bf16");
  const moe_format_kernels *bf16 = &kernels->formats[format];
  if (!bf16->round_bf16) return;
  seeded random = {43};
  for (int64_t k = 1; k < 100; k++) {
    int64_t bytes = moe_bf16_row_bytes(k);
    float *x = take_guarded(k * 4);
    uint8_t *rounded = take_guarded(bytes);
    uint16_t expected[128] = {0};
    for (int64_t c = 0; c < k; c++) x[c] = next_below(&random, 2) ? next_float(&random) : awkward[next_below(&random, 12)];
    moe_format_at(format)->encode(x, k, expected);
    memset(rounded, 0x55, (size_t)bytes);
    bf16->round_bf16(x, k, NULL, 1, 0, k, k, rounded);
    check(!memcmp(rounded, expected, (size_t)bytes), "round_bf16 of %lld: other bits than the encoder's", (long long)k);
    give_guarded(x, k * 4), give_guarded(rounded, bytes);
  }
}

void check_products(const moe_kernels *kernels, const moe_kernels *scalar) {
  // The first of each list are the small run's, and what is recorded of the scalar table.
  static const int64_t single[] = {67, 300, 1, 2, 7, 8, 9, 16, 31, 32, 33, 127, 255, 256, 257, 513, 1031, 96, 544};
  static const int64_t blocks[] = {3, 9, 1, 2, 4, 5, 7, 8, 17};
  for (int32_t format = 0; format < moe_format_count(); format++) {
    const moe_format *f = moe_format_at(format);
    const arrangement *scales;
    for (int a = 0; (scales = arrangement_at(f, a)); a++) {
      int64_t group = f->block_values;
      if (group <= 2 && scales->group % 32 == 0 && !scales->flat && (group == 2 || scales->group)) group = scales->group ? scales->group : 32;
      if (group == 2 && !scales->flat) group = scales->group;
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
  check_rounding(kernels);
}
