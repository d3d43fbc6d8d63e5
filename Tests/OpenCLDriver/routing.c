// Runs the OpenCL kernels of routing and planning on random tokens in buffers of exactly their size: logits, experts and weights have to be the bits
// of the scalar table, plans those of a naive sort.
#include "opencl.h"

extern const moe_kernels moe_kernels_scalar;

enum { TILE = 16, FEW = 4, MOST_TOKENS = 150, MOST_EXPERTS = 40, MOST = 8, MOST_ROWS = MOST_TOKENS * MOST, CHUNK = 32 };

static cl_kernel kernels[6];
static int failed;

static void expect(int holds, const char *what, int trial) {
  if (!holds) printf("trial %d: wrong %s\n", trial, what), failed++;
}

static int below(int bound) { return (int)(random_bits() >> 8) % bound; }

static void arguments(cl_kernel kernel, int first, int count, const int32_t *values) {
  for (int i = 0; i < count; i++) set(kernel, first + i, 4, &values[i]);
}
static void argument(cl_kernel kernel, int index, cl_mem buffer) { set(kernel, index, sizeof buffer, &buffer); }

static void fetch(cl_mem buffer, void *values, size_t bytes) {
  check(clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, bytes, values, 0, NULL, NULL), "clEnqueueReadBuffer");
}

/// Distinct experts for a token, some missing; numbers from `experts` on are virtual.
static void random_choices(int32_t *ids, int most, int all) {
  for (int i = 0; i < most; i++) {
    int again;
    do {
      ids[i] = below(8) ? below(below(4) ? all : (all + 3) / 4) : -1;
      again = 0;
      for (int j = 0; j < i; j++) again |= ids[j] == ids[i] && ids[i] >= 0;
    } while (again);
  }
}

static void plan(int trial) {
  int experts = 1 + below(MOST_EXPERTS), all = experts + (below(2) ? below(5) : 0), most = 1 + below(all < MOST ? all : MOST);
  int tokens = 1 + below(below(2) ? 8 : MOST_TOKENS), chunks = (tokens + CHUNK - 1) / CHUNK, middle = below(experts + 1), count = tokens * most;
  static int32_t choices[2 * MOST_ROWS], lists[16 * MOST_ROWS];
  for (int t = 0; t < tokens; t++) random_choices(choices + t * most, most, all);
  for (int i = 0; i < count; i++) {
    float weight = random_value();
    memcpy(&choices[count + i], &weight, 4);
  }
  // Two parts of the experts, each with tiles of few rows and of many, then the lists.
  int few_room = experts < count ? experts : count, many_room = count / TILE + few_room, place = 0, few[2], many[2];
  for (int p = 0; p < 2; p++) few[p] = place, many[p] = place += 4 * few_room, place += 4 * many_room;
  int tokens_of = place, weights_of = tokens_of + count, rows_of = weights_of + count, offsets = rows_of + count, identity = offsets + tokens + 1;
  size_t bytes = 4 * (size_t)(identity + tokens), columns = (size_t)experts + 1;
  cl_mem chosen = buffer(choices, 8 * (size_t)count), counts = buffer(NULL, 4 * columns * (size_t)(chunks + 2)), list = buffer(NULL, bytes);
  argument(kernels[0], 0, chosen), arguments(kernels[0], 1, 3, (int32_t[]){tokens, most, experts}), argument(kernels[0], 4, counts);
  launch(kernels[0], (columns + 63) / 64 * 64, 0, (size_t)chunks, 64);
  argument(kernels[1], 0, counts), arguments(kernels[1], 1, 2, (int32_t[]){chunks, experts});
  launch(kernels[1], (columns + 63) / 64 * 64, 0, 1, 64);
  for (int p = 0; p < 2; p++) {
    argument(kernels[2], 0, counts), argument(kernels[2], 5, list);
    arguments(kernels[2], 1, 4, (int32_t[]){chunks, experts, p ? middle : 0, p ? experts : middle});
    arguments(kernels[2], 6, 4, (int32_t[]){few[p], few_room, many[p], many_room});
    launch(kernels[2], 64, 0, 1, 64);
  }
  argument(kernels[3], 0, chosen), arguments(kernels[3], 1, 4, (int32_t[]){count, tokens, most, experts});
  argument(kernels[3], 5, counts), arguments(kernels[3], 6, 1, &chunks), argument(kernels[3], 7, list);
  arguments(kernels[3], 8, 5, (int32_t[]){tokens_of, weights_of, rows_of, offsets, identity});
  launch(kernels[3], (size_t)(tokens + 63) / 64 * 64, 0, 1, 64);
  fetch(list, lists, bytes);
  int row = 0, arranged = 0, places[MOST_TOKENS] = {0};
  for (int t = 0; t < tokens; t++) {
    float sum = 0;
    places[t] = t ? lists[offsets + t] : 0;
    expect(lists[offsets + t] == row, "offset", trial);
    for (int i = 0; i < most; i++) {
      float weight;
      memcpy(&weight, &choices[count + t * most + i], 4);
      if (choices[t * most + i] >= experts) sum += weight;
      row += choices[t * most + i] >= 0 && choices[t * most + i] < experts;
    }
    expect(memcmp(&lists[identity + t], &sum, 4) == 0, "identity", trial);
  }
  expect(lists[offsets + tokens] == row, "last offset", trial);
  row = 0;
  int tiles[2][2] = {{0}};
  for (int e = 0; e < experts; e++) {
    int first = row, p = e >= middle;
    for (int t = 0; t < tokens; t++)
      for (int i = 0; i < most; i++)
        if (choices[t * most + i] == e) {
          expect(lists[tokens_of + row] == t && lists[weights_of + row] == choices[count + t * most + i], "row", trial);
          expect(lists[rows_of + places[t]++] == row++, "way back", trial);
        }
    for (; first < row; first += TILE) {
      int rows = row - first < TILE ? row - first : TILE, is_few = rows <= FEW;
      int expected[] = {e, first, rows, arranged};
      expect(memcmp(expected, &lists[(is_few ? few : many)[p] + 4 * tiles[p][is_few]++], sizeof expected) == 0, "tile", trial);
      arranged += (rows + 7) / 8 * 8;
    }
  }
  for (int p = 0; p < 2; p++) {
    for (int t = tiles[p][1]; t < few_room; t++) expect(lists[few[p] + 4 * t + 2] == 0, "few left over", trial);
    for (int t = tiles[p][0]; t < many_room; t++) expect(lists[many[p] + 4 * t + 2] == 0, "many left over", trial);
  }
  clReleaseMemObject(chosen), clReleaseMemObject(counts), clReleaseMemObject(list);
}

static void router(int trial) {
  enum { HIDDEN = 100, BOUND = 70 };
  int experts = 1 + below(BOUND), tokens = 1 + below(9), hidden = 1 + below(HIDDEN), k = 1 + below(experts < MOST ? experts : MOST), kind = below(4);
  static float x[9 * HIDDEN], weights[BOUND * HIDDEN], biases[BOUND], logits[9 * BOUND], expected[9 * BOUND], scores[BOUND], choice[BOUND];
  static int32_t choices[9 * (2 * MOST + 1)], ids[BOUND];
  for (int i = 0; i < tokens * hidden; i++) x[i] = (float)(below(9) - 4) * (below(2) ? 1 : random_value());
  for (int i = 0; i < experts * hidden; i++) weights[i] = (float)(below(5) - 2);
  for (int i = 0; i < experts; i++) biases[i] = random_value();
  size_t size = 4 * (size_t)(tokens * experts), chosen_bytes = 4 * (size_t)(tokens * (2 * k + 1));
  cl_mem rows = buffer(x, 4 * (size_t)(tokens * hidden)), weight = buffer(weights, 4 * (size_t)(experts * hidden));
  cl_mem bias = buffer(biases, 4 * (size_t)experts), found = buffer(NULL, size), chosen = buffer(NULL, chosen_bytes);
  argument(kernels[4], 0, rows), argument(kernels[4], 1, weight), argument(kernels[4], 2, bias), argument(kernels[4], 3, found);
  arguments(kernels[4], 4, 4, (int32_t[]){tokens, experts, hidden, 1});
  launch(kernels[4], 64 * (size_t)((experts + 7) / 8), 0, (size_t)(tokens + 3) / 4, 64);
  fetch(found, logits, size);
  moe_kernels_scalar.router_logits(x, hidden, tokens, weights, biases, experts, hidden, expected, experts);
  expect(memcmp(logits, expected, size) == 0, "logits", trial);
  // Half of the time a bias for the choice, and the best of two groups where there are as many.
  int biased = below(2), groups = experts % 2 == 0 && experts >= 4 && below(2) ? 2 : 0;
  float fill = below(2) ? -INFINITY : 0;
  double numbers[] = {0, 0, 2};
  argument(kernels[5], 0, found), argument(kernels[5], 1, bias), argument(kernels[5], 2, chosen);
  arguments(kernels[5], 3, 8, (int32_t[]){tokens, experts, k, kind, 0, biased | 2 | 32, groups, 1});
  set(kernels[5], 11, 4, &fill);
  for (int i = 0; i < 3; i++) set(kernels[5], 12 + i, 8, &numbers[i]);
  launch(kernels[5], 64, 0, (size_t)tokens, 64);
  fetch(chosen, choices, chosen_bytes);
  for (int t = 0; t < tokens; t++) {
    float group_scores[2], twice;
    int32_t kept[2];
    moe_kernels_scalar.router_scores((moe_score)kind, expected + t * experts, experts, scores);
    for (int e = 0; e < experts; e++) choice[e] = scores[e] + (biased ? biases[e] : 0);
    if (groups) moe_kernels_scalar.limit_groups(MOE_GROUP_TOP_TWO_SUM, groups, 1, fill, experts, choice, scores, group_scores, kept);
    int64_t count = moe_kernels_scalar.topk(choice, experts, k, ids);
    for (int i = 0; i < k; i++) {
      expect(choices[t * k + i] == (i < count ? ids[i] : -1), "expert", trial);
      twice = i < count && scores[ids[i]] != 0 ? 2 * scores[ids[i]] : 0;
      expect(memcmp(&choices[(tokens + t) * k + i], &twice, 4) == 0, "weight", trial);
    }
    expect(choices[2 * tokens * k + t] == 0, "mark", trial);
  }
  clReleaseMemObject(rows), clReleaseMemObject(weight), clReleaseMemObject(bias), clReleaseMemObject(found), clReleaseMemObject(chosen);
}

int main(void) {
  enum { TRIALS = 200 };
  const char *names[] = {"tile", "plan", "doubles", "exact", "router_logits", "route"}, *texts[6];
  const char *entries[] = {"count_rows", "scan_rows", "cut_tiles", "place_rows", "router_logits", "route"};
  open_device();
  for (int i = 0; i < 6; i++) texts[i] = moe_opencl_text(names[i]);
  cl_program program = build(6, texts, "-cl-std=CL1.2 -D GROUP_TOKENS=16 -D FEW=4", false);
  for (int i = 0; i < 6; i++) kernels[i] = kernel_of(program, entries[i]);
  for (int trial = 0; trial < TRIALS; trial++) plan(trial), router(trial);
  printf("%d plans and routings, %d wrong\n", TRIALS, failed);
  return failed != 0;
}
