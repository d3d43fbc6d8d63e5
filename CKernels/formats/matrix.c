// Matrices outside the kernels: the portable decoder, used by the reference and by tools, and the size of panels.
#include "matrix.h"
#include "panels.h"

int64_t moe_panel_rows(int32_t format) { return code_formats[format].values ? CODE_ROWS : is_plain[format] ? PLAIN_ROWS : 0; }

bool moe_takes_panels(const moe_matrix *w) {
  if (w->layout != MOE_ROWS || moe_panel_rows(w->format) == 0) return false;
  if (code_formats[w->format].lines != LINES_E8M0_PLANE) return w->scale_type == MOE_SCALE_NONE && w->global_scale == 1;
  return w->scale_type == MOE_SCALE_E8M0 && !w->flat && !w->zeros && w->group == 32 && w->group_rows == 1 && w->global_scale == 1 &&
         w->columns % 32 == 0;
}

int64_t moe_panel_bytes(int32_t format, int64_t columns) {
  code_format codes = code_formats[format];
  return codes.values ? unit_bytes(codes, columns) : is_plain[format] ? PLAIN_ROWS * columns * moe_format_at(format)->block_bytes : 0;
}

int64_t moe_int8_row_bytes(int32_t format, int64_t columns) {
  code_format codes = code_formats[format];
  return codes.values ? columns / 32 * int8_group_bytes(codes) : 0;
}

void moe_matrix_decode(const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out) {
  const moe_format *format = moe_format_at(w->format);
  code_format codes = code_formats[w->format];
  if (w->layout == MOE_ROWS)
    decode_columns(w, format, format->decode, row, column, count, out);
  else if (codes.values)
    decode_panel_codes(codes, w, row, column, count, out);
  else
    decode_panel_elements(format, w, row, column, count, out);
}
