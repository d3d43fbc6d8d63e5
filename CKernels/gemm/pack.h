// Packing: published rows into panels, at load or for one run of columns.
#pragma once

/// Distance from a run to the one that is read after it: the next of its row, or the first of the row one panel below.
BODY int64_t next_run(const moe_matrix *w, int64_t panel, int64_t column, int64_t count, int64_t bytes) {
  return column + count < w->columns ? bytes : panel * w->row_bytes + bytes - w->row_bytes;
}

/// Asks for the bytes that will be read next.
BODY void prefetch_run(const uint8_t *p, int64_t bytes) {
  for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(p + b);
}

/// Stores `bits` bits of the eight quads of 32 columns, from bit `place` on, as a plane: see formats/panels.h.
BODY void store_plane(const uint8_t *restrict quads, int bits, int place, uint8_t *restrict out) {
  UNROLLED for (int b = 0; b < bits; b++)
    for (int i = 0; i < 32; i++) {
      int side = 8 / bits, byte = 0;
      UNROLLED for (int q = 0; q < side; q++) byte |= (quads[32 * (side * b + q) + i] >> place & ((1 << bits) - 1)) << bits * q;
      out[32 * b + i] = (uint8_t)byte;
    }
}

/// Stores the eight quads of 32 columns in their planes.
BODY void store_quads(code_format f, const uint8_t *restrict quads, uint8_t *restrict out) {
  int low = low_bits(f);
  store_plane(quads, low, 0, out);
  if (f.bits > low) store_plane(quads, f.bits - low, low, out + 32 * low);
}

/// What LINES_FLOATS has beside the scale of a row's block.
BODY uint8_t exponent_of(code_format f, const uint8_t *codes) {
  bool is_nan = false;
  for (int c = 0; c < f.values; c++) is_nan |= (codes[c] & 0x7f) == 0x7f;
  return is_nan ? 255 : 128;
}

/// E4M3 scales of a block's groups of E2M1 codes. The sign of a scale goes to its codes.
BODY void put_e4m3(code_format f, const uint8_t *scales, uint8_t *codes, uint8_t *lines, int r) {
  for (int g = 0; g < f.values / f.group; g++) {
    uint8_t magnitude = scales[g] & 0x7f;
    lines[g * CODE_ROWS + r] = magnitude == 0x7f ? 255 : magnitude;
    for (int c = 0; c < f.group; c++) codes[g * f.group + c] ^= scales[g] >> 7 << 3;
  }
}

/// Scales and zero of a block of `codes` at a column of a row, from the planes beside them, into row r of scale lines.
BODY void put_scales(code_format f, const moe_matrix *w, int64_t row, int64_t column, uint8_t *codes, uint8_t *lines, int r) {
  int64_t index = w->scale_type == MOE_SCALE_NONE ? 0 : row / w->group_rows * w->scale_stride + column / w->group;
  if (f.lines == LINES_E8M0_PLANE) {
    lines[r] = ((const uint8_t *)w->scales)[index];
    return;
  }
  if (f.lines == LINES_UE4M3) {
    put_e4m3(f, (const uint8_t *)w->scales + index, codes, lines, r);
    return;
  }
  float scale = scale_of(w, index);
  memcpy(lines + 4 * r, &scale, 4);
  lines[FLOAT_LINE + r] = has_floats(f) ? exponent_of(f, codes) : w->zeros ? w->zeros[index] : 0;
}

/// Columns [column, column + count), whole blocks, of `rows` rows from `first` on (the others zero) as one piece of a panel.
BODY void pack_run(code_format f, const moe_matrix *w, int64_t first, int64_t rows, int64_t column, int64_t count, uint8_t *out, uint8_t *flat) {
  int64_t ahead = next_run(w, CODE_ROWS, column, count, count / f.values * f.bytes), size = unit_bytes(f, f.values);
  const uint8_t *data = (const uint8_t *)w->data + first * w->row_bytes + column / f.values * f.bytes;
  bool has_planes = has_blocks_of_matrix(f) || w->scale_type != MOE_SCALE_NONE;
  int step = has_planes ? 32 : f.values;
  for (int64_t r = 0; r < rows; r++) prefetch_run(data + r * w->row_bytes + ahead, count / f.values * f.bytes);
  for (; count > 0; count -= f.values, column += f.values, data += f.bytes, out += size) {
    if (rows < CODE_ROWS) memset(out, 0, (size_t)line_bytes(f)), memset(flat, 0, (size_t)(CODE_ROWS * f.values));
    for (int r = 0; r < rows; r++) {
      for (int c = 0; c < f.values; c += step) f.codes(data + r * w->row_bytes + c * f.bytes / f.values, flat + r * f.values + c, out, r);
      if (has_planes) put_scales(f, w, first + r, column, flat + r * f.values, out, r);
    }
    for (int64_t c = 0; c < f.values; c += 32) {
      uint8_t quads[32 * CODE_ROWS];
      transpose_quads(flat + c, f.values, quads);
      store_quads(f, quads, out + line_bytes(f) + c / 32 * code_bytes(f));
    }
  }
}

/// Panels of format `panels` of a matrix with codes of `f`.
BODY code_format packed_as(code_format panels, code_format f) {
  panels.bytes = f.bytes * panels.values / f.values, panels.codes = f.codes;
  return panels;
}

BODY void pack_codes(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, uint8_t *panels, float *scratch) {
  for (int64_t r = row_begin; r < row_end; r += CODE_ROWS, panels += unit_bytes(f, w->columns))
    pack_run(f, w, r, row_end - r < CODE_ROWS ? row_end - r : CODE_ROWS, 0, w->columns, panels, (uint8_t *)scratch);
}

/// Sixteen rows of elements side by side, a cache line of each row at a time.
BODY void pack_elements(int format, const moe_matrix *w, int64_t row_begin, int64_t row_end, uint8_t *out) {
  int64_t width = element_bytes(format), k = w->columns, step = 64 / width;
  for (int64_t r = row_begin; r < row_end; r += PLAIN_ROWS, out += PLAIN_ROWS * k * width) {
    const uint8_t *data = (const uint8_t *)w->data + r * w->row_bytes;
    int64_t rows = row_end - r < PLAIN_ROWS ? row_end - r : PLAIN_ROWS;
    if (rows < PLAIN_ROWS) memset(out, 0, (size_t)(PLAIN_ROWS * k * width));
    for (int64_t c = 0; c < k; c += step)
      for (int64_t i = 0; i < rows; i++)
        for (int64_t j = c; j < k && j < c + step; j++)
          memcpy(out + (j * PLAIN_ROWS + i) * width, data + i * w->row_bytes + j * width, (size_t)width);
  }
}
