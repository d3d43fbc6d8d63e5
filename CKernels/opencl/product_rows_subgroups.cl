// The product of at most FEW rows on int8 activations by subgroups: SPAN lanes have as many weight rows. A lane multiplies eight columns of all, then
// scales and adds, in order, the sums of one. The same bits as product_tiles_int8.

/// Lanes whose columns share a scale, which sum a set of as many rows at once; a span has as many sets as groups of columns.
enum { SHARERS = GROUP / 8, SETS = SPAN / SHARERS, ROUNDS = SETS == 4 ? 2 : 3 };

/// True for the lane whose number has the bit that `mask` is, of the two that differ in it.
bool is_upper(int mask) { return get_local_id(0) & mask; }

/// The sum over two lanes: of `lower` in the lower of them, of `upper` in the upper.
int pair_sum(local span_exchange *exchange, int lower, int upper, int mask) {
  const int own = is_upper(mask) ? upper : lower, other = is_upper(mask) ? lower : upper;
  return own + (int)across(exchange, other, mask);
}

/// The sum over those that share a group of columns, of one row in each: the lower bits of a lane are its place in a set.
int sharers_sum(local span_exchange *exchange, const int *parts) {
  const int sum = pair_sum(exchange, parts[0], parts[1], 1);
  return SHARERS == 2 ? sum : pair_sum(exchange, sum, pair_sum(exchange, parts[SHARERS - 2], parts[SHARERS - 1], 1), 2);
}

/// Turns the sums of all sets in one group of columns into those of one set in all groups.
void turn_sets(local span_exchange *exchange, int *sums) {
  EACH(round, ROUNDS, ROUNDS) EACH(pair, SETS / 2, SETS / 2) {
    const int bit = 1 << round, lower = pair / bit * 2 * bit + pair % bit, upper = lower + bit, mask = bit * SHARERS;
    const int low = sums[lower], high = sums[upper], other = (int)across(exchange, is_upper(mask) ? low : high, mask);
    sums[lower] = is_upper(mask) ? other : low;
    sums[upper] = is_upper(mask) ? high : other;
  }
}

kernel IN_SUBGROUPS __attribute__((reqd_work_group_size(GROUP_ROWS, 1, 1))) void product_rows_subgroups(PRODUCT_PARAMETERS, int segment) {
  local span_exchange exchanges[GROUP_ROWS / SPAN];
  const int item = get_local_id(0), lane = item % SPAN;
  const int first_row = get_group_id(0) * rows_of_group(flags), row = first_row + row_of(item, flags);
  const global int *tile = lists + tiles + 4 * get_global_id(1);
  const int expert = tile[0] - first_expert, first = tile[1], count = tile[2];
  if (count == 0) return;
  local span_exchange *exchange = exchanges + item / SPAN;
  const level_line own = line_of(PRODUCT_WEIGHTS, min(row, rows - 1), is_gate(item, flags));
  float sums[FEW], totals[FEW];
  UNROLLED for (int i = 0; i < FEW; i++) sums[i] = totals[i] = 0;
  for (int begin = 0; begin < columns; begin += 8 * SPAN) {
    // Behind the last column is the last octet again, in groups that nothing is made of.
    const int column = min(begin + 8 * lane, columns - 8), quad = column % 32 / 4;
    const global rounded_rows *rounded = rows_at(x, tile[3], column, columns);
    uint2 inputs_of[FEW];
    UNROLLED for (int i = 0; i < FEW; i++) inputs_of[i] = i < count ? (uint2)(rounded->codes[quad][i], rounded->codes[quad + 1][i]) : 0;
    int parts[FEW][SETS];
    EACH(set, SETS, SETS) {
      // Rows of a set are neighbours, of one matrix.
      const int place = item - lane + set * SHARERS, set_row = first_row + row_of(place, flags);
      level_line line = line_of(PRODUCT_WEIGHTS, min(set_row, rows - 1), is_gate(place, flags));
      uint2 levels[SHARERS];
      UNROLLED for (int k = 0; k < SHARERS; k++) {
        levels[k] = level_octet(line, column);
        line.codes += set_row + k + 1 < rows ? line.m->row_bytes : 0;
      }
      EACH(i, count, FEW) {
        const uint2 input = inputs_of[i];
        int products[SHARERS];
        UNROLLED for (int k = 0; k < SHARERS; k++) products[k] = sum_of(dot_quad(levels[k].x, input.x, dot_quad(levels[k].y, input.y, 0)));
        parts[i][set] = sharers_sum(exchange, products);
      }
    }
    EACH(i, count, FEW) turn_sets(exchange, parts[i]);
    UNROLLED for (int g = 0; g < SETS; g++) {
      const int at = begin + g * GROUP;
      if (at >= columns) continue;
      const float2 scale = level_scale(own, at);
      const global rounded_rows *rounded = rows_at(x, tile[3], at, columns);
      UNROLLED for (int i = 0; i < FEW; i++) {
        if (i >= count) continue;
        const float factor = rounded->scales[i], codes_sum = factor * (float)rounded->sums[g % GROUPS][i];
        sums[i] = scaled_sum(parts[i][g], scale.x, factor, scale.y, codes_sum, sums[i]);
        if ((at + GROUP) % segment == 0 || at + GROUP >= columns) totals[i] += sums[i], sums[i] = 0;
      }
    }
  }
  EACH(i, count, FEW) {
    const float gate = as_float(across(exchange, as_uint(totals[i]), ITEM_ROWS / 2));
    if (row < rows && !is_gate(item, flags)) y[(long)(first + i) * rows + row] = finished(totals[i], gate, PRODUCT_END, row);
  }
}
