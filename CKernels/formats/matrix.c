// Matrices outside the kernels: the portable decoder, used by the reference and by tools, and the size of panels.
#include "matrix.h"
#include "panels.h"

int64_t moe_panel_rows(int32_t format) { return is_panelled[format] ? CODE_ROWS : is_plain[format] ? PLAIN_ROWS : 0; }

/// True when the scales lie where panels of the format take them from.
static bool has_its_scales(const moe_matrix *w) {
  code_format f = code_formats[w->format];
  bool none = w->scale_type == MOE_SCALE_NONE, in_groups = !w->flat && (w->group % 32 == 0 || w->group >= w->columns);
  bool whole = w->columns % 32 == 0 && (none || in_groups);
  if (has_floats(f)) return whole && !w->zeros;
  if (f.lines == LINES_PLANES) return whole && !none;
  // Times such a number, halves of scales are exact.
  bool is_moderate = fabsf(w->global_scale) >= 0x1p-64f && fabsf(w->global_scale) <= 0x1p64f;
  if (f.lines == LINES_UE4M3) return none && is_moderate;
  if (f.lines != LINES_E8M0_PLANE) return none && w->global_scale == 1;
  if (w->flat || w->zeros || w->group_rows != 1) return false;
  if (w->scale_type == MOE_SCALE_E8M0) return whole && w->group == 32 && w->global_scale == 1;
  return w->scale_type == MOE_SCALE_E4M3 && w->group == 16 && w->columns % 64 == 0 && is_moderate;
}

int32_t moe_panel_format(const moe_matrix *w) { return panel_format(w); }

bool moe_takes_panels(const moe_matrix *w) { return w->layout == MOE_ROWS && moe_panel_rows(w->format) > 0 && has_its_scales(w); }

bool moe_takes_rounded(const moe_matrix *w) {
  if (w->layout == MOE_ROWS && !(has_its_scales(w) && panel_format(w) == w->format)) return false;
  return has_levels(code_formats[w->format]) || is_plain[w->format];
}

int64_t moe_panel_bytes(const moe_matrix *w) {
  if (is_plain[w->format]) return PLAIN_ROWS * w->columns * moe_format_at(w->format)->block_bytes;
  return is_panelled[w->format] ? unit_bytes(in_matrix(code_formats[panel_format(w)], w), w->columns) : 0;
}

int64_t moe_int8_row_bytes(int32_t format, int64_t columns) {
  code_format codes = code_formats[format];
  return has_levels(codes) ? columns / 32 * int8_group_bytes(codes) : 0;
}

int64_t moe_bf16_row_bytes(int64_t columns) { return bf16_row_bytes(columns); }

void moe_matrix_decode(const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out) {
  const moe_format *format = moe_format_at(w->format);
  code_format codes = in_matrix(code_formats[w->format], w);
  if (w->layout == MOE_ROWS)
    decode_columns(w, format, format->decode, row, column, count, out);
  else if (codes.values)
    decode_panel_codes(codes, w, row, column, count, out);
  else
    decode_panel_elements(format, w, row, column, count, out);
}
