// Widening runs of columns to f32, rows side by side, for products of many tokens.
#pragma once

#ifndef FLOAT_TOKENS
#define FLOAT_TOKENS 6
#endif
#ifndef FLOAT_VECS
#define FLOAT_VECS (PLAIN_ROWS / VEC_ROWS)
#endif
/// The most tokens for which plain elements narrower than f32 are not widened first.
#ifndef FLOAT_NARROW
#define FLOAT_NARROW (2 * FLOAT_TOKENS)
#endif
/// The most tokens for which panels of codes are widened in registers.
#ifndef FEW_TOKENS
#define FEW_TOKENS 4
#endif
enum {
  PANEL = PLAIN_ROWS, RUN = 256, FLOAT_STEP = 16,
  PANEL_VECS = PANEL / VEC_ROWS, FLOAT_PANELS = FLOAT_VECS / PANEL_VECS, FLOAT_ROWS = FLOAT_PANELS * PANEL,
  FLOAT_AHEAD = FLOAT_PANELS > 1 ? 2048 : 6144
};
_Static_assert((PANEL + FLOAT_ROWS) * RUN + 2 * FLOAT_ROWS * MOE_GEMM_ROWS <= GEMM_SCRATCH, "flat rows, panels, sums and totals");

/// Bytes to ask for while a run is multiplied: `lines` cache lines for every FLOAT_STEP columns, from `at` on and `panel` bytes behind it.
typedef struct float_ahead {
  const uint8_t *at;
  int64_t lines, panel;
} float_ahead;

/// A run of columns in panels and what is read behind it, which its tiles share out.
typedef struct float_reading {
  const uint8_t *run, *next;
  int64_t panel, lines, steps;
} float_reading;

/// Of the run of `columns` columns, `width` bytes each in a panel, that begins at column c of `panels` panels of k columns.
BODY float_reading reading_of(const uint8_t *run, int64_t c, int64_t columns, int64_t k, int64_t width, int panels) {
  const uint8_t *next = run + (c + columns < k ? columns : k * (panels - 1) + columns) * width;
  return (float_reading){run, next, k * width, (columns * width + 63) / 64, (columns + FLOAT_STEP - 1) / FLOAT_STEP};
}

/// The share of a tile of `tokens` of m tokens; one tile alone reads on a little ahead of itself.
BODY float_ahead share_of(float_reading *r, int64_t tokens, int64_t m) {
  float_ahead ahead = {tokens == m ? r->run + FLOAT_AHEAD : r->next, (r->lines * tokens + m * r->steps - 1) / (m * r->steps), r->panel};
  r->next += ahead.lines * r->steps * 64;
  return ahead;
}

/// Eight neighbouring values of a row of plain elements.
BODY eight load_eight_elements(int format, const uint8_t *p) {
  return format == INDEX_f16 ? load_half_eight(p) : format == INDEX_bf16 ? load_bfloat_eight(p) : load_eight((const float *)p);
}

/// A vector of neighbouring plain elements.
BODY vec load_elements(int format, const uint8_t *p) {
  return format == INDEX_f16 ? load_half_vec(p, 16) : format == INDEX_bf16 ? load_bfloat_vec(p) : load_vec((const float *)p);
}

/// True where 16 rows of floats of one byte are finite, and their scales change with whole 32 columns.
BODY bool takes_bytes(byte_float f, const moe_matrix *w, const uint8_t *data, int64_t rows, int64_t count) {
  if (!f.shift || rows < PANEL || count % 32 || w->scale_type == MOE_SCALE_NONE || w->flat) return false;
  if (w->group % 32 && w->group < w->columns) return false;
  uint8_t largest = 0;
  for (int64_t r = 0; r < PANEL; r++)
    for (int64_t c = 0; c < count; c++) {
      uint8_t magnitude = data[r * w->row_bytes + c] & 0x7f;
      largest = magnitude > largest ? magnitude : largest;
    }
  return largest < f.special;
}

/// Scales of VEC_ROWS rows in one column.
BODY vec scales_at(const moe_matrix *w, int64_t first, int64_t column) {
  int64_t group = column / w->group, row = first / w->group_rows;
  if (row == (first + VEC_ROWS - 1) / w->group_rows) return splat(scale_of(w, row * w->scale_stride + group));
  float scales[VEC_ROWS];
  for (int64_t i = 0; i < VEC_ROWS; i++) scales[i] = scale_of(w, (first + i) / w->group_rows * w->scale_stride + group);
  return load_vec(scales);
}

/// `widen_panel` where `takes_bytes`, the bytes turned before they are widened. Codes of subnormal numbers are subnormal before the factor.
BODY void widen_bytes(byte_float f, const moe_matrix *w, const uint8_t *data, int64_t first, int64_t column, int64_t count, int64_t ahead,
                      float *panel) {
  for (int64_t r = 0; r < PANEL; r += VEC_ROWS, data += VEC_ROWS * w->row_bytes) {
    vec scale = splat(0);
    for (int64_t c = 0; c < count; c += 32) {
      uint8_t quads[VEC_ROWS / CODE_ROWS][32 * CODE_ROWS];
      if (c == 0 || (column + c) % w->group == 0) scale = scales_at(w, first + r, column + c);
      for (int64_t i = 0; i < VEC_ROWS && c % 64 == 0; i++) __builtin_prefetch(data + i * w->row_bytes + c + ahead);
      for (int64_t i = 0; i < VEC_ROWS / CODE_ROWS; i++) transpose_quads(data + i * CODE_ROWS * w->row_bytes + c, w->row_bytes, quads[i]);
      UNROLLED for (int q = 0; q < 8; q++) {
        bytes v = load_bytes(quads[0] + 32 * q, sizeof quads[0]);
        UNROLLED for (int j = 0; j < 4; j++)
          store_vec(panel + (c + 4 * q + j) * PANEL + r, multiply(multiply(float_column_of(v, j, f.shift, f.mask), splat(f.factor)), scale));
      }
    }
  }
}

/// Columns [column, column + count) of 16 rows (missing ones zero), widened and turned: panel[c * 16 + r].
BODY void widen_panel(const moe_matrix *w, decoder decode, int format, int64_t first, int64_t rows, int64_t column, int64_t count, float *flat,
                      float *panel) {
  const moe_format *f = moe_format_at(format);
  bool plain = is_plain[format];
  const uint8_t *data = (const uint8_t *)w->data + first * w->row_bytes + column / f->block_values * f->block_bytes;
  int64_t padded = (count + 7) / 8 * 8, run_bytes = count / f->block_values * f->block_bytes, width = plain ? f->block_bytes : 0;
  int64_t ahead = next_run(w, PANEL, column, count, run_bytes);
  if (plain && rows == PANEL && padded == count) {
    for (int64_t r = 0; r < PANEL; r += 8)
      for (int64_t c = 0; c < count; c += 8) {
        eight v[8];
        const uint8_t *p = data + r * w->row_bytes + c * width;
        if (c * width % 64 == 0)
          for (int i = 0; i < 8; i++) __builtin_prefetch(p + i * w->row_bytes + ahead);
        for (int i = 0; i < 8; i++) v[i] = load_eight_elements(format, p + i * w->row_bytes);
        store_turned(v, panel + c * PANEL + r, PANEL);
      }
    return;
  }
  if (takes_bytes(byte_floats[format], w, data, rows, count)) {
    widen_bytes(byte_floats[format], w, data, first, column, count, ahead, panel);
    return;
  }
  for (int64_t r = 0; r < PANEL; r++) {
    float *out = flat + r * RUN;
    if (r >= rows) {
      memset(out, 0, (size_t)padded * sizeof(float));
      continue;
    }
    prefetch_run(data + r * w->row_bytes + ahead, run_bytes);
    decode_columns(w, f, decode, first + r, column, count, out);
    for (int64_t c = count; c < padded; c++) out[c] = 0;
  }
  for (int64_t r = 0; r < PANEL; r += 8)
    for (int64_t c = 0; c < padded; c += 8) {
      eight v[8];
      for (int i = 0; i < 8; i++) v[i] = load_eight(flat + (r + i) * RUN + c);
      store_turned(v, panel + c * PANEL + r, PANEL);
    }
}

/// Likewise from panels of codes. Asks for the run that is widened next: of the same rows, or the first of the block of rows below.
BODY void widen_codes(code_format f, const moe_matrix *w, int64_t first, int64_t column, int64_t count, float *panel) {
  int64_t size = unit_bytes(f, w->columns), run = unit_bytes(f, count), each = unit_bytes(f, f.values) / (f.values / 32);
  int64_t ahead = column + count < w->columns ? run : FLOAT_ROWS / CODE_ROWS * size + run - size;
  for (int64_t r = 0; r < PANEL && first + r < w->rows; r += VEC_ROWS) {
    const uint8_t *unit = (const uint8_t *)w->data + (first + r) / CODE_ROWS * size + unit_bytes(f, column);
    int64_t next = first + r + CODE_ROWS < w->rows ? size : 0;
    for (int64_t begin = 0; begin < count; begin += f.values, unit += unit_bytes(f, f.values)) {
      const uint8_t *codes = unit + line_bytes(f);
      for (int64_t c = begin; c < begin + f.values; c += 32, codes += code_bytes(f)) {
        for (int p = 0; p < VEC_ROWS / CODE_ROWS; p++) prefetch_run(codes + p * next + ahead, each);
        UNROLLED for (int g = 0; g < 32 / f.group; g++) {
          vec scale, minimum;
          load_units(f, unit, next, (c - begin) / f.group + g, &scale, &minimum);
          UNROLLED for (int q = g * (f.group / 4); q < (g + 1) * (f.group / 4); q++) {
            bytes levels = load_levels(f, codes, next, q);
            UNROLLED for (int j = 0; j < 4; j++)
              store_vec(panel + (c + 4 * q + j) * PANEL + r, value_of(f, levels, j, scale, minimum));
          }
        }
      }
    }
  }
  for (int64_t r = (w->rows - first + VEC_ROWS - 1) / VEC_ROWS * VEC_ROWS; r < PANEL; r += VEC_ROWS)
    for (int64_t c = 0; c < count; c++) store_vec(panel + c * PANEL + r, splat(0));
}

/// Likewise from a panel of plain elements.
BODY void widen_elements(int format, const uint8_t *elements, int64_t count, float *panel) {
  int64_t width = element_bytes(format);
  for (int64_t j = 0; j < count * PANEL; j += VEC_ROWS) store_vec(panel + j, load_elements(format, elements + j * width));
}
