// The product of at most FEW rows on int8 activations by subgroups: each span of SPAN lanes has as many weight rows, and a lane in turn eight columns of
// all of them, then the chain of sums of its own. The same bits as product_tiles_int8.

/// Lanes whose columns share a scale, as many rows as they sum at once, and the sets of so many rows that a span has: as many as groups of columns.
enum { SHARERS = GROUP / 8, SETS = SPAN / SHARERS, ROUNDS = SETS == 4 ? 2 : SETS == 8 ? 3 : 4 };

bool is_upper(int mask) { return get_local_id(0) & mask; }

/// A lane's own value and that of the lane across together: of `lower`, or of `upper` in the upper of both.
int pair_sum(local span_exchange *exchange, int lower, int upper, int mask) {
  const int own = is_upper(mask) ? upper : lower, other = is_upper(mask) ? lower : upper;
  return own + (int)across(exchange, other, mask);
}

/// Of one row a lane, the sums of all that share a group of columns.
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
    const int column = min(begin + 8 * lane, columns - 8), quad = column % 32 / 4;
    const global rounded_rows *rounded = rows_at(x, tile[3], column, columns);
    uint2 inputs_of[FEW];
    UNROLLED for (int i = 0; i < FEW; i++)
      inputs_of[i] = i < count && begin + 8 * lane < columns ? (uint2)(rounded->codes[quad][i], rounded->codes[quad + 1][i]) : 0;
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
        int products[SHARERS];
        UNROLLED for (int k = 0; k < SHARERS; k++) products[k] = sum_of(dot_quad(levels[k].x, inputs_of[i].x, dot_quad(levels[k].y, inputs_of[i].y, 0)));
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
    const float other = as_float(across(exchange, as_uint(totals[i]), ITEM_ROWS / 2));
    if (row < rows && !is_gate(item, flags)) y[(long)(first + i) * rows + row] = finished(totals[i], other, PRODUCT_END, row);
  }
}
