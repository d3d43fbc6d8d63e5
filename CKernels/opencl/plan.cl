// The dispatch plan where the assignments lie: rows sorted by expert, tokens ascending in each, by counting the rows of chunks of tokens.
//
// `choices` holds [tokens, most] experts, -1 for none and numbers from `experts` on for virtual ones, and from `weights` on their coefficients.
// `counts` is [chunks + 2, experts + 1]: rows of each expert in a chunk and, last, of all; place_rows finds those of earlier chunks there. The
// last but one row has the rows of each expert, the last the first of them.

enum { CHUNK = 32, PLANNERS = 64 };
#define PLANS kernel __attribute__((reqd_work_group_size(PLANNERS, 1, 1))) void

/// One item counts for one expert in one chunk.
PLANS count_rows(const global int *choices, int tokens, int most, int experts, global int *counts) {
  const int expert = get_global_id(0), chunk = get_global_id(1);
  if (expert > experts) return;
  int count = 0;
  for (int i = chunk * CHUNK * most; i < min((chunk + 1) * CHUNK, tokens) * most; i++)
    count += expert < experts ? choices[i] == expert : choices[i] >= 0 && choices[i] < experts;
  counts[(long)chunk * (experts + 1) + expert] = count;
}

/// One item turns the counts of one expert into sums of those before.
PLANS scan_rows(global int *counts, int chunks, int experts) {
  if ((int)get_global_id(0) > experts) return;
  global int *count = counts + get_global_id(0);
  int sum = 0;
  for (int chunk = 0; chunk <= chunks; chunk++, count += experts + 1) {
    const int next = chunk < chunks ? *count : 0;
    *count = sum, sum += next;
  }
}

int arranged(int rows) { return (rows + 7) / 8 * 8; }

/// What an expert adds to the experts behind it: rows, tiles of few rows and of many, rows that they take when they are arranged.
int4 tally(int rows, bool cuts) {
  const int whole = rows / GROUP_TOKENS, rest = rows % GROUP_TOKENS;
  return (int4)(rows, cuts && rest > 0 && rest <= FEW, cuts ? whole + (rest > FEW) : 0, whole * arranged(GROUP_TOKENS) + arranged(rest));
}

/// One group cuts the rows of the experts of one part, `begin ..< end`, into tiles: `few` and `many` are where they go in `lists`, and there is room
/// for as many; those left over have no rows.
PLANS cut_tiles(
    global int *counts, int chunks, int experts, int begin, int end, global int *lists, int few, int few_room, int many, int many_room) {
  local int4 sums[PLANNERS + 1];
  const int item = get_local_id(0), share = (end + PLANNERS - 1) / PLANNERS, last = min((item + 1) * share, end);
  const global int *rows_of = counts + (long)chunks * (experts + 1);
  global int *firsts = counts + (long)(chunks + 1) * (experts + 1);
  int4 at = 0;
  for (int expert = item * share; expert < last; expert++) at += tally(rows_of[expert], expert >= begin);
  sums[item + 1] = at;
  if (item == 0) sums[0] = 0;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item == 0)
    for (int i = 1; i <= PLANNERS; i++) sums[i] += sums[i - 1];
  barrier(CLK_LOCAL_MEM_FENCE);
  at = sums[item];
  for (int expert = item * share; expert < last; expert++) {
    const int rows = rows_of[expert];
    if (expert >= begin) {
      firsts[expert] = at.x;
      for (int first = 0; first < rows; first += GROUP_TOKENS) {
        const int count = min(rows - first, GROUP_TOKENS), tile = count <= FEW ? few + 4 * at.y : many + 4 * (at.z + first / GROUP_TOKENS);
        vstore4((int4)(expert, at.x + first, count, at.w + first / GROUP_TOKENS * arranged(GROUP_TOKENS)), 0, lists + tile);
      }
    }
    at += tally(rows, expert >= begin);
  }
  const int4 none = (int4)(begin, 0, 0, 0);
  for (int tile = sums[PLANNERS].y + item; tile < few_room; tile += PLANNERS) vstore4(none, 0, lists + few + 4 * tile);
  for (int tile = sums[PLANNERS].z + item; tile < many_room; tile += PLANNERS) vstore4(none, 0, lists + many + 4 * tile);
}

/// One item puts the assignments of one token into the lists; `identity` is negative where no expert returns its input.
PLANS place_rows(
    const global int *choices, int weights, int tokens, int most, int experts, const global int *counts, int chunks, global int *lists, int tokens_of,
    int weights_of, int rows_of, int offsets, int identity) {
  const int token = get_global_id(0), chunk = token / CHUNK;
  if (token >= tokens) return;
  const global int *ids = choices + token * most, *before = counts + (long)chunk * (experts + 1);
  const global int *firsts = counts + (long)(chunks + 1) * (experts + 1);
  int place = before[experts], own = 0;
  float returned = 0;
  for (int i = chunk * CHUNK * most; i < token * most; i++) place += choices[i] >= 0 && choices[i] < experts;
  for (int i = 0; i < most; i++) {
    const int expert = ids[i];
    if (expert >= experts) returned += as_float(choices[weights + token * most + i]);
    if (expert < 0 || expert >= experts) continue;
    int row = firsts[expert] + before[expert], rank = 0;
    for (int j = chunk * CHUNK * most; j < token * most; j++) row += choices[j] == expert;
    for (int j = 0; j < most; j++) rank += ids[j] >= 0 && ids[j] < expert;
    lists[tokens_of + row] = token;
    lists[weights_of + row] = choices[weights + token * most + i];
    lists[rows_of + place + rank] = row;
    own++;
  }
  lists[offsets + token] = place;
  if (token == tokens - 1) lists[offsets + tokens] = place + own;
  if (identity >= 0) lists[identity + token] = as_int(returned);
}
