// Products of few tokens on int8 activations: panels are read as they lie, unpacked in registers.
#pragma once

/// The most tokens for which panels are read as they lie: a tile of them.
#ifndef INT8_FEW
#define INT8_FEW INT8_TOKENS
#endif

/// `columns` columns for one tile, from the tile's record at `x` on: sums[t * VEC_ROWS + r] goes on.
BODY void multiply_panels(code_format f, int8_columns w, const uint8_t *panel_end, int64_t columns, const uint8_t *x, int tokens, float *sums) {
  vec sum[INT8_VECS][INT8_TOKENS];
  for (int t = 0; t < tokens; t++) sum[0][t] = load_vec(sums + t * VEC_ROWS);
  for (int64_t begin = 0; begin < columns; begin += f.values, w.unit += unit_bytes(f, f.values)) {
    const uint8_t *codes = w.unit + line_bytes(f);
    for (int64_t c = 0; c < f.values; c += 32, codes += code_bytes(f), x += tokens * int8_group_bytes(f)) {
      prefetch_codes(w.panel, panel_end, codes, INT8_AHEAD, unit_bytes(f, f.values) / (f.values / 32));
      UNROLLED for (int g = 0; g < 32 / f.group; g++) {
        int8_group group = {.codes = codes, .panel = w.panel, .first_quad = g * (f.group / 4)};
        load_scales(f, w.unit, w.panel, c / f.group + g, &group.scales[0], &group.minima[0]);
        multiply_group(f, group, 1, x, g, tokens, sum);
      }
    }
  }
  for (int t = 0; t < tokens; t++) store_vec(sums + t * VEC_ROWS, sum[0][t]);
}
