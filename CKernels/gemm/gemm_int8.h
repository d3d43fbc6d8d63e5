// Grouped GEMM on int8 activations: quads of a panel's rows, lane = row, products summed as integers.
//
// A quad holds four neighbouring columns of a row in each lane, so that one multiplication by four broadcast activations serves all rows.
// One tile of tokens reads panels as they lie. The tiles of more share an unpacked run of 256 columns of INT8_VECS vectors of rows, which stays in the
// first cache. Published rows are packed into panels, a run at a time. All ways give the same bits.
#pragma once

/// Adds the finished sums of a segment to the totals.
BODY void finish_segment(float *sums, float *totals, int64_t count, bool is_first) {
  for (int64_t j = 0; j < count; j += VEC_ROWS) {
    vec sum = load_vec(sums + j);
    store_vec(totals + j, is_first ? sum : add_vec(load_vec(totals + j), sum));
    store_vec(sums + j, splat(0));
  }
}

/// Stores `rows` of a vector's lanes.
BODY void store_rows(float *y, const float *lanes, int64_t rows) {
  if (rows >= VEC_ROWS)
    store_vec(y, load_vec(lanes));
  else if (rows > 0)
    memcpy(y, lanes, (size_t)rows * sizeof(float));
}

BODY void gemm_int8(code_format f, const moe_matrix *w, int64_t row_begin, int64_t row_end, const uint8_t *x, int64_t m, int64_t segment, float *y,
                    int64_t y_stride, float *scratch) {
  int8_scratch *s = (int8_scratch *)scratch;
  bool lies_in_panels = w->layout == MOE_PANELS, are_few = m <= INT8_FEW;
  int64_t k = w->columns, each = int8_group_bytes(f), size = lies_in_panels ? unit_bytes(f, k) : INT8_PACKED;
  int64_t step = are_few ? VEC_ROWS : INT8_ROWS, run = are_few && lies_in_panels ? k : INT8_RUN;
  for (int64_t r = row_begin; r < row_end; r += step) {
    int64_t panels = row_end - r < step ? (row_end - r + CODE_ROWS - 1) / CODE_ROWS : step / CODE_ROWS;
    for (int64_t j = 0; j < m * step; j += VEC_ROWS) store_vec(s->sums + j, splat(0)), store_vec(s->totals + j, splat(0));
    for (int64_t begin = 0, columns; begin < k; begin += columns) {
      int64_t stop = k - begin < segment - begin % segment ? k : (begin / segment + 1) * segment;
      columns = stop - begin < run ? stop - begin : run;
      for (int64_t p = 0; !lies_in_panels && p < panels; p++) {
        int64_t first = r + p * CODE_ROWS;
        pack_run(f, w, first, row_end - first < CODE_ROWS ? row_end - first : CODE_ROWS, begin, columns, s->packed + p * size, s->flat);
      }
      const uint8_t *first = lies_in_panels ? (const uint8_t *)w->data + r / CODE_ROWS * size : s->packed;
      const uint8_t *unit = lies_in_panels ? first + unit_bytes(f, begin) : first;
      if (are_few) {
        int8_columns part = {unit, panels > 1 ? size : 0};
#define FEW_CASE(n) \
  case n: if (n <= INT8_FEW) multiply_panels(f, part, first + size, columns, x + begin / 32 * n * each, n, s->sums); break;
        switch (m) { FOR_TOKENS(FEW_CASE) }
#undef FEW_CASE
      } else {
        for (int v = 0; v < INT8_VECS; v++) {
          // Vectors behind the last row repeat the first; nothing of them is stored.
          int64_t at = v * INT8_PANELS < panels ? v * INT8_PANELS : 0;
          unpack_run(f, (int8_columns){unit + at * size, at + 1 < panels ? size : 0}, columns, v, s);
        }
        // While one run is multiplied the next is asked for, in the row's panels or in those behind them.
        const uint8_t *next = begin + columns < k ? unit + unit_bytes(f, columns) : first + panels * size;
        int64_t lines = lies_in_panels ? (unit_bytes(f, columns) + 63) / 64 : 0, asked = 0, left = lines;
        for (int64_t i = 0, tokens; i < m; i += tokens) {
          tokens = next_tile(m - i, INT8_TOKENS);
          for (int64_t share = panels * lines * (i + tokens) / m; asked < share; asked++, next += 64, left--) {
            if (!left) next += size - 64 * lines, left = lines;
            __builtin_prefetch(next);
          }
          unpacked_product_of(f)(s, columns, x + (i * (k / 32) + begin / 32 * tokens) * each, tokens, s->sums + i * INT8_ROWS);
        }
      }
      if (begin + columns == stop) finish_segment(s->sums, s->totals, m * step, stop <= segment);
    }
    for (int64_t i = 0, tokens; i < m; i += tokens) {
      tokens = next_tile(m - i, INT8_TOKENS);
      for (int64_t t = 0; t < tokens; t++)
        for (int64_t v = 0; v < step / VEC_ROWS; v++) {
          const float *lanes = s->totals + i * step + (v * tokens + t) * VEC_ROWS;
          store_rows(y + (i + t) * y_stride + r - row_begin + v * VEC_ROWS, lanes, row_end - r - v * VEC_ROWS);
        }
    }
  }
}
