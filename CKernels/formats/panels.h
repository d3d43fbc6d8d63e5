// Panels: the layout that kernels read fastest, neighbouring rows side by side so that a vector's lane is a row.
//
// Plain elements: panels of 16 rows, column after column, the 16 elements of a column next to each other.
//
// Integer codes: panels of 8 rows in units of one block of columns. A unit starts with lines of scales, each one value a row:
//   LINES_HALF          f16 scale of the block
//   LINES_HALF_MINIMUM  f16 scale, f16 minimum
//   LINES_AFFINE        f16 d, f16 dmin, then for each group u8 s, u8 m: scale d * s, minimum -(dmin * m)
//   LINES_NIBBLES       likewise, s the low and m the high nibble of one byte
//   LINES_STEPS         f16 d, then for each group an int8 s: scale d * s
//   LINES_EIGHTHS       likewise: scale d * s / 8
//   LINES_UE4M3         for each group an FP8 E4M3 scale without sign, see half_of_ue4m3: half of it, times the matrix's global scale
//   LINES_E8M0          an exponent: scale is half of it, finite for every exponent
//   LINES_E8M0_PLANE    likewise, from the plane beside the codes; exponent 255 is NaN
//   LINES_PLANES        f32 scale, u8 zero of a group of the planes beside the codes, which is the block: scale * (code - zero)
//   LINES_FLOATS        f32 scale, 128 or, where the row has a NaN in the block, 255: an exponent that makes NaN of the scale. Block as above
// Its codes follow, 32 columns after 32 columns. Columns 4 q ... 4 q + 3 of the eight rows are quad q, 32 bytes: code c of row r is byte
// 4 r + c % 4 of quad c / 4. The eight quads of 32 columns are stored in planes: the first holds 8, 4 or 2 bits of a code, the lowest, a second
// those above them. A plane of b bits is b x 32 bytes, quad q bits b * (q % n) ... of bytes 32 * (q / n) ..., n = 8 / b.
// Rows beyond the matrix are zero bytes. E2M1's negative zero reads as zero.
#pragma once
#include "CMoEKernels.h"
#include "list.h"

enum { PLAIN_ROWS = 16 };

typedef enum scale_lines {
  LINES_HALF, LINES_HALF_MINIMUM, LINES_AFFINE, LINES_NIBBLES, LINES_STEPS, LINES_EIGHTHS, LINES_UE4M3, LINES_E8M0, LINES_E8M0_PLANE, LINES_PLANES,
  LINES_FLOATS
} scale_lines;

/// A row of MOE_CODE_FORMATS or MOE_BYTE_FLOAT_FORMATS.
typedef struct code_format {
  void (*codes)(const uint8_t *block, uint8_t *codes, uint8_t *lines, int row);
  int values, bytes, bits, group;
  scale_lines lines;
  const int8_t *levels;
  int zero;
  bool is_signed;
  int run;
  /// Of LINES_UE4M3, set by `in_matrix`.
  float global;
} code_format;

/// Indexed like the formats; `values` is 0 for those that have no codes.
#define CODES(f, ...) [INDEX_##f] = {codes_##f, __VA_ARGS__, 1},
__attribute__((unused)) static const code_format code_formats[FORMATS] = {MOE_CODE_FORMATS(CODES) MOE_BYTE_FLOAT_FORMATS(CODES)};

/// Indexed likewise: true for codes that lie in panels.
#define TRUE(f, ...) [INDEX_##f] = true,
__attribute__((unused)) static const bool is_panelled[FORMATS] = {MOE_PANEL_FORMATS(TRUE)};

/// Indexed likewise: true for plain elements.
__attribute__((unused)) static const bool is_plain[FORMATS] = {MOE_PLAIN_FORMATS(TRUE)};

/// Bytes of a plain element.
FORMAT int64_t element_bytes(int32_t format) { return format == INDEX_f32 ? 4 : 2; }

/// True when values have a minimum beside their scale.
FORMAT bool has_minimum(code_format f) {
  return f.lines == LINES_HALF_MINIMUM || f.lines == LINES_AFFINE || f.lines == LINES_NIBBLES || f.lines == LINES_PLANES;
}

/// True when codes are floats of one byte.
FORMAT bool has_floats(code_format f) { return f.lines == LINES_FLOATS; }

/// True when codes are integers, or levels of a table, that meet int8 activations.
FORMAT bool has_levels(code_format f) { return f.values && !has_floats(f); }

/// The format that a matrix has in panels: E2M1 codes with E4M3 scales beside them become NVFP4.
FORMAT int32_t panel_format(const moe_matrix *w) {
  return w->format == INDEX_e2m1 && w->scale_type == MOE_SCALE_E4M3 ? (int32_t)INDEX_nvfp4 : w->format;
}

/// True when a block is as long as a matrix says.
FORMAT bool has_blocks_of_matrix(code_format f) { return f.lines == LINES_PLANES || has_floats(f); }

/// The format as a matrix has it. Its blocks are as long as groups and rows can be cut in, 256 columns at most.
FORMAT code_format in_matrix(code_format f, const moe_matrix *w) {
  f.global = w->global_scale;
  if (!has_blocks_of_matrix(f)) return f;
  int64_t group = w->group > 0 && w->group < w->columns ? w->group : w->columns, values = 256;
  while (values > 32 && (group % values || w->columns % values)) values /= 2;
  f.bytes = f.bytes * (int)values / f.values, f.values = (int)values;
  return f;
}

/// True when scales may be as small as those of f32.
FORMAT bool has_small_scales(code_format f) { return f.lines == LINES_E8M0 || f.lines == LINES_E8M0_PLANE || has_blocks_of_matrix(f); }

/// Bytes that 32 columns of a row of int8 activations take: codes, a scale, an offset for each group of columns. See rows/round_int8.h.
FORMAT int64_t int8_group_bytes(code_format f) { return 36 + 4 * (32 / f.group); }

/// Bytes that a row of bf16 activations takes. See rows/round_bf16.h.
FORMAT int64_t bf16_row_bytes(int64_t columns) { return (columns + 31) / 32 * 64; }

/// Bytes of the scale lines of a unit.
FORMAT int64_t line_bytes(code_format f) {
  switch (f.lines) {
    case LINES_HALF: return HALF_LINE;
    case LINES_HALF_MINIMUM: return 2 * HALF_LINE;
    case LINES_AFFINE: return 2 * HALF_LINE + f.values / f.group * 2 * CODE_ROWS;
    case LINES_NIBBLES: return 2 * HALF_LINE + f.values / f.group * CODE_ROWS;
    case LINES_STEPS:
    case LINES_EIGHTHS: return HALF_LINE + f.values / f.group * CODE_ROWS;
    case LINES_UE4M3: return f.values / f.group * CODE_ROWS;
    case LINES_E8M0:
    case LINES_E8M0_PLANE: return CODE_ROWS;
    case LINES_PLANES:
    case LINES_FLOATS: return FLOAT_LINE + CODE_ROWS;
  }
}

/// Bytes of the codes of 32 columns.
FORMAT int64_t code_bytes(code_format f) { return 4 * f.bits * CODE_ROWS; }

/// Bytes of `columns` columns, whole blocks, of a panel.
FORMAT int64_t unit_bytes(code_format f, int64_t columns) { return columns / f.values * (line_bytes(f) + f.values / 32 * code_bytes(f)); }

/// Bits of the first plane; the second has the rest.
FORMAT int low_bits(code_format f) { return f.bits == 8 ? 8 : f.bits < 4 ? 2 : 4; }

/// One code of the 32 columns at `codes`: column c of row r.
FORMAT uint8_t code_at(code_format f, const uint8_t *codes, int c, int r) {
  int q = c / 4, at = 4 * r + c % 4, code = 0;
  for (int place = 0, bits = low_bits(f); place < f.bits; codes += 32 * bits, place += bits, bits = f.bits - place) {
    int side = 8 / bits;
    code |= (codes[32 * (q / side) + at] >> bits * (q % side) & ((1 << bits) - 1)) << place;
  }
  return (uint8_t)code;
}

/// Scale, zero and minimum of group `g` of a unit for row r.
FORMAT void scale_at(code_format f, const uint8_t *unit, int64_t g, int r, float *scale, float *zero, float *minimum) {
#pragma STDC FP_CONTRACT OFF
  const uint8_t *half = unit + 2 * r, *steps = unit + HALF_LINE + r + g * CODE_ROWS, *pair = unit + 2 * HALF_LINE + r + 2 * g * CODE_ROWS;
  const uint8_t *nibbles = unit + 2 * HALF_LINE + r + g * CODE_ROWS;
  *zero = (float)f.zero, *minimum = 0;
  switch (f.lines) {
    case LINES_HALF: *scale = load_f16(half); break;
    case LINES_HALF_MINIMUM: *scale = load_f16(half), *minimum = load_f16(half + HALF_LINE); break;
    case LINES_AFFINE: *scale = load_f16(half) * (float)pair[0], *minimum = -(load_f16(half + HALF_LINE) * (float)pair[CODE_ROWS]); break;
    case LINES_NIBBLES:
      *scale = load_f16(half) * (float)(*nibbles & 15), *minimum = -(load_f16(half + HALF_LINE) * (float)(*nibbles >> 4));
      break;
    case LINES_STEPS: *scale = load_f16(half) * (float)(int8_t)*steps; break;
    case LINES_EIGHTHS: *scale = load_f16(half) * (float)(int8_t)*steps * 0.125f; break;
    case LINES_UE4M3: *scale = half_of_ue4m3(unit[r + g * CODE_ROWS]) * f.global; break;
    case LINES_E8M0: *scale = half_of_e8m0(unit[r]); break;
    case LINES_PLANES: *scale = float_of_bits(load_u32(unit + 4 * r)), *zero = (float)unit[FLOAT_LINE + r]; break;
    case LINES_FLOATS: *scale = float_of_bits(load_u32(unit + 4 * r)); break;
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
      float level = has_floats(f) ? float_of_e4m3(code) : f.levels ? f.levels[code] : f.is_signed ? (int8_t)code : code;
      float scale, zero, minimum;
      scale_at(f, unit, c / f.group, r, &scale, &zero, &minimum);
      float v = (level - zero) * scale;
      out[c] = has_minimum(f) && f.lines != LINES_PLANES ? v + minimum : v;
    }
}

/// Likewise of plain elements of `width` bytes.
FORMAT void decode_panel_elements(const moe_format *format, const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out) {
  int64_t width = format->block_bytes;
  const uint8_t *panel = (const uint8_t *)w->data + row / PLAIN_ROWS * PLAIN_ROWS * w->columns * width;
  for (int64_t c = 0; c < count; c++)
    format->decode(panel + ((column + c) * PLAIN_ROWS + row % PLAIN_ROWS) * width, 1, 1, 0, out + c);
}
