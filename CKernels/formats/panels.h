// Panels: the layout that kernels read fastest, neighbouring rows side by side so that a vector's lane is a row.
//
// Plain elements: panels of 16 rows, column after column, the 16 elements of a column next to each other.
//
// Integer codes: panels of 8 rows in units of one block of columns. A unit starts with lines of scales, each one value a row:
//   LINES_HALF          f16 scale of the block
//   LINES_HALF_MINIMUM  f16 scale, f16 minimum
//   LINES_AFFINE        f16 d, f16 dmin, then for each group u8 s, u8 m: scale d * s, minimum -(dmin * m)
//   LINES_STEPS         f16 d, then for each group an int8 s: scale d * s
//   LINES_E8M0          an exponent: scale is half of it, finite for every exponent
//   LINES_E8M0_PLANE    likewise, from the plane beside the codes; exponent 255 is NaN
// Its codes follow, 32 columns after 32 columns. Columns 4 q ... 4 q + 3 of the eight rows are quad q, 32 bytes: code c of row r is byte
// 4 r + c % 4 of quad c / 4. The eight quads of 32 columns are stored by bits:
//   first 4 bits   4 x 32 bytes, quad q in the low (q even) or high nibble of bytes 32 * (q / 2) ...
//   a fifth bit    32 bytes more, bit q of each byte
//   a fifth, sixth 2 x 32 bytes more, bits 2 * (q % 4) ... of bytes 32 * (q / 4) ...
//   8 bits         8 x 32 bytes instead
// Rows beyond the matrix are zero bytes. E2M1's negative zero reads as zero.
#pragma once
#include "CMoEKernels.h"
#include "list.h"

enum { PLAIN_ROWS = 16 };

typedef enum scale_lines { LINES_HALF, LINES_HALF_MINIMUM, LINES_AFFINE, LINES_STEPS, LINES_E8M0, LINES_E8M0_PLANE } scale_lines;

/// A row of MOE_CODE_FORMATS.
typedef struct code_format {
  void (*codes)(const uint8_t *block, uint8_t *codes, uint8_t *lines, int row);
  int values, bytes, bits, group;
  scale_lines lines;
  const int8_t *levels;
  int zero;
  bool is_signed;
  int run;
} code_format;

/// Indexed like the formats; `values` is 0 for formats without panels of codes.
#define CODES(f, ...) [INDEX_##f] = {codes_##f, __VA_ARGS__},
__attribute__((unused)) static const code_format code_formats[FORMATS] = {MOE_CODE_FORMATS(CODES)};

/// Indexed likewise: true for plain elements.
#define PLAIN(f) [INDEX_##f] = true,
__attribute__((unused)) static const bool is_plain[FORMATS] = {MOE_PLAIN_FORMATS(PLAIN)};

/// Bytes of a plain element.
FORMAT int64_t element_bytes(int32_t format) { return format == INDEX_f32 ? 4 : 2; }

/// True when values have a minimum beside their scale.
FORMAT bool has_minimum(code_format f) { return f.lines == LINES_HALF_MINIMUM || f.lines == LINES_AFFINE; }

/// True when scales are powers of two of any size.
FORMAT bool has_exponents(code_format f) { return f.lines == LINES_E8M0 || f.lines == LINES_E8M0_PLANE; }

/// Bytes that 32 columns of a row of int8 activations take: codes, a scale, an offset for each group of columns. See rows/round_int8.h.
FORMAT int64_t int8_group_bytes(code_format f) { return 36 + 4 * (32 / f.group); }

/// Bytes of the scale lines of a unit.
FORMAT int64_t line_bytes(code_format f) {
  switch (f.lines) {
    case LINES_HALF: return HALF_LINE;
    case LINES_HALF_MINIMUM: return 2 * HALF_LINE;
    case LINES_AFFINE: return 2 * HALF_LINE + f.values / f.group * 2 * CODE_ROWS;
    case LINES_STEPS: return HALF_LINE + f.values / f.group * CODE_ROWS;
    case LINES_E8M0:
    case LINES_E8M0_PLANE: return CODE_ROWS;
  }
}

/// Bytes of the codes of 32 columns.
FORMAT int64_t code_bytes(code_format f) { return 4 * f.bits * CODE_ROWS; }

/// Bytes of `columns` columns, whole blocks, of a panel.
FORMAT int64_t unit_bytes(code_format f, int64_t columns) { return columns / f.values * (line_bytes(f) + f.values / 32 * code_bytes(f)); }

/// One code of the 32 columns at `codes`: column c of row r.
FORMAT uint8_t code_at(code_format f, const uint8_t *codes, int c, int r) {
  int q = c / 4, at = 4 * r + c % 4;
  if (f.bits == 8) return codes[32 * q + at];
  int code = codes[32 * (q / 2) + at] >> 4 * (q % 2) & 15;
  if (f.bits == 5) code |= (codes[128 + at] >> q & 1) << 4;
  if (f.bits == 6) code |= (codes[128 + 32 * (q / 4) + at] >> 2 * (q % 4) & 3) << 4;
  return (uint8_t)code;
}

/// Scale and minimum of group `g` of a unit for row r.
FORMAT void scale_at(code_format f, const uint8_t *unit, int64_t g, int r, float *scale, float *minimum) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *half = unit + 2 * r, *steps = unit + HALF_LINE + r + g * CODE_ROWS, *pair = unit + 2 * HALF_LINE + r + 2 * g * CODE_ROWS;
  *minimum = 0;
  switch (f.lines) {
    case LINES_HALF: *scale = load_f16(half); break;
    case LINES_HALF_MINIMUM: *scale = load_f16(half), *minimum = load_f16(half + HALF_LINE); break;
    case LINES_AFFINE: *scale = load_f16(half) * (float)pair[0], *minimum = -(load_f16(half + HALF_LINE) * (float)pair[CODE_ROWS]); break;
    case LINES_STEPS: *scale = load_f16(half) * (float)(int8_t)*steps; break;
    case LINES_E8M0: *scale = half_of_e8m0(unit[r]); break;
    case LINES_E8M0_PLANE: *scale = unit[r] == 255 ? (float)NAN : half_of_e8m0(unit[r]); break;
  }
}

/// Widens columns [column, column + count), whole blocks, of a row of a panelled matrix to the values that `decode` gives.
FORMAT void decode_panel_codes(code_format f, const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out) {
#pragma STDC FP_CONTRACT OFF
  int r = (int)(row % CODE_ROWS);
  const uint8_t *unit = (const uint8_t *)w->data + row / CODE_ROWS * unit_bytes(f, w->columns) + unit_bytes(f, column);
  for (; count > 0; count -= f.values, unit += unit_bytes(f, f.values), out += f.values)
    for (int c = 0; c < f.values; c++) {
      uint8_t code = code_at(f, unit + line_bytes(f) + c / 32 * code_bytes(f), c % 32, r);
      int level = f.levels ? f.levels[code] : f.bits == 8 ? (int8_t)code : code;
      float scale, minimum;
      scale_at(f, unit, c / f.group, r, &scale, &minimum);
      float v = scale * (float)(level - f.zero);
      out[c] = has_minimum(f) ? v + minimum : v;
    }
}

/// Likewise of plain elements of `width` bytes.
FORMAT void decode_panel_elements(const moe_format *format, const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out) {
  int64_t width = format->block_bytes;
  const uint8_t *panel = (const uint8_t *)w->data + row / PLAIN_ROWS * PLAIN_ROWS * w->columns * width;
  for (int64_t c = 0; c < count; c++)
    format->decode(panel + ((column + c) * PLAIN_ROWS + row % PLAIN_ROWS) * width, 1, 1, 0, out + c);
}
