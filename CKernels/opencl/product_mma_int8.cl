// The product on int8 activations, as round_rows left them, by tensor cores: each warp decodes the next 32 columns of its weight rows into registers
// before it multiplies those at hand; rows of the plan are copied to local memory, two stages ahead. The bits of product_tiles_int8.

enum {
  LINES = WARP_ROWS / 8, PIECES = sizeof(rounded_rows) / sizeof(ushort8), MOST_PIECES = (TOKEN_TILES * PIECES + MATRIX_ITEMS - 1) / MATRIX_ITEMS
};

/// What item t of four, which have an octet each of a row, gives to an instruction in the first and the last half of 32 columns: quads `quad_of(t)`
/// and four further, as of rounded rows.
uint2 quads_of_halves(local warp_exchange *exchange, uint2 octet, int t) {
  const uint other = value_across(exchange, t < 2 ? octet.y : octet.x);
  return t < 2 ? (uint2)(octet.x, other) : (uint2)(other, octet.y);
}
int quad_of(int t) { return t % 2 * 2 + t / 2; }

/// `group_tokens`, a constant, is at most GROUP_TOKENS.
__attribute__((always_inline)) void multiply_levels_by_warps(
    PRODUCT_PARAMETERS, int segment, const int group_tokens, local ushort8 *stages, local warp_exchange *exchanges) {
  const int item = get_local_id(0), lane = item % WARP, warp_row = item / WARP * WARP_ROWS, g = lane / 4, t = lane % 4;
  const int first_row = get_group_id(0) * rows_of_group(flags), steps = columns / DEPTH;
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2], token_tiles = min((count + 7) / 8, group_tokens / 8);
  if (count == 0) return;
  local warp_exchange *exchange = exchanges + item / WARP;
  copies begun = {0};
  const global ushort *from[MOST_PIECES];
  UNROLLED for (int i = 0; i < MOST_PIECES; i++) {
    const int piece = item + i * MATRIX_ITEMS;
    from[i] = (const global ushort *)rows_at(x, tile[3] + piece / PIECES * 8, 0, columns) + piece % PIECES * 8;
  }
#define STAGE(step) (stages + (step) % STAGES * (group_tokens / 8 * PIECES))
#define BEGIN_STAGE(step)                                                                             \
  UNROLLED for (int i = 0; i < MOST_PIECES; i++) {                                                    \
    const int piece = item + i * MATRIX_ITEMS;                                                        \
    if ((step) < steps && piece < token_tiles * PIECES)                                               \
      begin_copy(&begun, STAGE(step) + piece, from[i] + (step) * (PIECES * 8), true);                 \
  }                                                                                                   \
  end_stage(&begun)
  BEGIN_STAGE(0);
  BEGIN_STAGE(1);
  // An item decodes its octet of LINES rows, and the scales of one of them.
#define LINE_AT(place) line_of(PRODUCT_WEIGHTS, min(first_row + row_of(place, flags), rows - 1), is_gate(place, flags))
  level_line lines[LINES];
  UNROLLED for (int k = 0; k < LINES; k++) lines[k] = LINE_AT(warp_row + 8 * k + g);
  const level_line scaled_line = LINE_AT(warp_row + t % LINES * 8 + g);
  uint2 octets[LINES];
  float2 scales[GROUPS];
#define DECODE(column)                                                                           \
  UNROLLED for (int k = 0; k < LINES; k++) octets[k] = level_octet(lines[k], (column) + 8 * t);  \
  UNROLLED for (int group = 0; group < GROUPS; group++) scales[group] = level_scale(scaled_line, (column) + group * GROUP)
  DECODE(0);
  float total[TOKEN_TILES][ITEM_SUMS], sum[TOKEN_TILES][ITEM_SUMS];
  EACH_SUM total[n][i] = sum[n][i] = 0;
  int segment_end = segment;
  for (int step = 0; step < steps; step++) {
    // By then all have read the stage before this one, whose place the next takes.
    await_stages(&begun);
    BEGIN_STAGE(step + 2);
    uint4 weights_of[LINES / 2];
    UNROLLED for (int k = 0; k < LINES / 2; k++) {
      const uint2 upper = quads_of_halves(exchange, octets[2 * k], t), lower = quads_of_halves(exchange, octets[2 * k + 1], t);
      weights_of[k] = (uint4)(upper.x, lower.x, upper.y, lower.y);
    }
    float scales_of[GROUPS][4], minima_of[GROUPS][4] = {{0}};
    UNROLLED for (int group = 0; group < GROUPS; group++) {
      share_in_fours(exchange, scales[group].x, scales_of[group]);
      if (HAS_MINIMUM) share_in_fours(exchange, scales[group].y, minima_of[group]);
    }
    if (step + 1 < steps) { DECODE((step + 1) * DEPTH); }
    const local rounded_rows *stage = (const local rounded_rows *)STAGE(step);
    EACH_TILE(n, token_tiles, TOKEN_TILES) {
      const uint2 inputs_of = (uint2)(stage[n].codes[quad_of(t)][g], stage[n].codes[quad_of(t) + 4][g]);
      const float factors[2] = {stage[n].scales[2 * t], stage[n].scales[2 * t + 1]};
      UNROLLED for (int group = 0; group < GROUPS; group++) {
        const local int *sums = stage[n].sums[group] + 2 * t;
        const float codes_sums[2] = {factors[0] * (float)sums[0], factors[1] * (float)sums[1]};
        UNROLLED for (int k = 0; k < LINES / 2; k++) {
          float parts[4];
          if (GROUPS == 1) multiply_32_bytes(exchange, parts, weights_of[k], inputs_of);
          else if (group == 0) multiply_16_bytes(exchange, parts, weights_of[k].lo, inputs_of.x);
          else multiply_16_bytes(exchange, parts, weights_of[k].hi, inputs_of.y);
          UNROLLED for (int i = 0; i < 4; i++) {
            const int line = 2 * k + i / 2;
            float *at = &sum[n][4 * k + i];
            *at = scaled_sum(parts[i], scales_of[group][line], factors[i % 2], minima_of[group][line], codes_sums[i % 2], *at);
          }
        }
      }
    }
    if ((step + 1) * DEPTH == segment_end || step + 1 == steps) {
      EACH_SUM total[n][i] += sum[n][i], sum[n][i] = 0;
      segment_end += segment;
    }
  }
  store_sums(total, first, count, first_row, y, PRODUCT_END);
}
