// The portable decoder of packed matrices, used at load, by the reference and by tools.
#include "matrix.h"

void moe_matrix_decode(const moe_matrix *w, int64_t row, int64_t column, int64_t count, float *out) {
  decode_columns(w, moe_format_at(w->format), row, column, count, out);
}
