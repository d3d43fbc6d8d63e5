// The product of bf16 weights on activations that round_rows_bf16 left, by tensor cores: 32 columns of both are multiplied while the next two stages
// are copied to local memory.

enum { OCTETS = DEPTH / 8, LINES_AT_ONCE = MATRIX_ITEMS / OCTETS, MOST_LINES = (GROUP_ROWS + GROUP_TOKENS) / LINES_AT_ONCE };

/// Octets of a stage with `tokens` rows of the plan behind the weight rows.
#define STAGE_OCTETS(tokens) ((GROUP_ROWS + (tokens)) * OCTETS)

/// Where eight columns of a line are in a stage: those of eight lines are in different banks.
int octet_at(int line, int octet) { return line * OCTETS + (octet ^ line / 2 % OCTETS); }

/// `group_tokens`, a constant, is at most GROUP_TOKENS.
__attribute__((always_inline)) void multiply_by_warps(PRODUCT_PARAMETERS, const int group_tokens, local ushort8 *stages, local warp_exchange *exchanges) {
  const int item = get_local_id(0), lane = item % WARP, warp_row = item / WARP * WARP_ROWS, octet = item % OCTETS;
  const int first_row = get_group_id(0) * rows_of_group(flags), steps = (columns + DEPTH - 1) / DEPTH;
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  local warp_exchange *exchange = exchanges + item / WARP;
  copies begun = {0};
  // The item's octet of its lines, weight rows and then rows of the plan; 0 where there is nothing.
  const global ushort *from[MOST_LINES];
  UNROLLED for (int i = 0; i < MOST_LINES; i++) {
    const int line = item / OCTETS + i * LINES_AT_ONCE, token = line - GROUP_ROWS, row = first_row + row_of(line, flags);
    const bool gate = is_gate(line, flags);
    const global matrix *m = matrices + (gate ? experts + expert : expert);
    const global uchar *codes = (gate ? gate_codes : up_codes) + m->codes + row * m->row_bytes;
    from[i] = 0;
    if (token >= 0 && token < count) from[i] = (const global ushort *)x + (long)(tile[3] + token) * columns + 8 * octet;
    if (token < 0 && row < rows) from[i] = (const global ushort *)codes + 8 * octet;
  }
#define BEGIN_STAGE(step)                                                                                                                  \
  UNROLLED for (int i = 0; i < MOST_LINES; i++) {                                                                                          \
    const int line = item / OCTETS + i * LINES_AT_ONCE;                                                                                    \
    if ((step) < steps && line < GROUP_ROWS + group_tokens)                                                                                \
      begin_copy(&begun, stages + (step) % STAGES * STAGE_OCTETS(group_tokens) + octet_at(line, octet), from[i] + (step) * DEPTH,          \
                 from[i] && (step) * DEPTH + 8 * octet < columns);                                                                         \
  }                                                                                                                                        \
  end_stage(&begun)
  BEGIN_STAGE(0);
  BEGIN_STAGE(1);
  float total[TOKEN_TILES][ITEM_SUMS], run[TOKEN_TILES][ITEM_SUMS];
  EACH_SUM total[n][i] = run[n][i] = 0;
  for (int step = 0; step < steps; step++) {
    // By then all have read the stage before this one, whose place the next takes.
    await_stages(&begun);
    BEGIN_STAGE(step + 2);
    const local ushort8 *stage = stages + step % STAGES * STAGE_OCTETS(group_tokens);
    uint4 weights_of[WARP_ROWS / 16][2];
    UNROLLED for (int k = 0; k < WARP_ROWS / 16; k++)
      UNROLLED for (int half_of = 0; half_of < 2; half_of++)
        weights_of[k][half_of] = load_matrices(exchange, stage + octet_at(warp_row + 16 * k + lane % 16, 2 * half_of + lane / 16));
    EACH_TILE(n, min((count + 7) / 8, group_tokens / 8), TOKEN_TILES) {
      const uint4 inputs_of = load_matrices(exchange, stage + octet_at(GROUP_ROWS + 8 * n + lane % 8, lane / 8));
      UNROLLED for (int k = 0; k < WARP_ROWS / 16; k++) {
        multiply_fragments(exchange, run[n] + 4 * k, weights_of[k][0], inputs_of.lo);
        multiply_fragments(exchange, run[n] + 4 * k, weights_of[k][1], inputs_of.hi);
      }
    }
    if ((step + 1) * DEPTH % RUN == 0 || step + 1 == steps) EACH_SUM total[n][i] += run[n][i], run[n][i] = 0;
  }
  store_sums(total, first, count, first_row, y, PRODUCT_END);
}
