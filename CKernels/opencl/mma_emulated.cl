// The vocabulary of mma_ptx.cl in plain C, for tests on other devices: items exchange what the instructions do, copies arrive when they are waited for
// and have written NaN before.
//
// Every item of a group has to come by: a condition around these is the same for all, and the end of a loop, since some compilers copy what follows
// other conditions on a barrier.
enum { WARP = 32, MOST_COPIES = 16, MOST_STAGES = 3 };

#define EACH_TILE(n, tiles, most) for (int n = 0; n < (tiles); n++)

typedef struct {
  const local uint *rows[WARP];
  uint a[4][WARP], b[2][WARP];
} warp_exchange;

/// Stages up to `arrived` are where they belong, `stage` is the one at hand.
typedef struct {
  local ushort8 *to[MOST_STAGES][MOST_COPIES];
  ushort8 values[MOST_STAGES][MOST_COPIES];
  int counts[MOST_STAGES], arrived, stage;
} copies;

void begin_copy(copies *begun, local ushort8 *to, const global ushort *from, bool is_inside) {
  const int slot = begun->stage % MOST_STAGES, place = begun->counts[slot]++;
  *to = 0xffff;
  begun->to[slot][place] = to;
  begun->values[slot][place] = is_inside ? vload8(0, from) : (ushort8)0;
}
void end_stage(copies *begun) { begun->counts[++begun->stage % MOST_STAGES] = 0; }
void await_stages(copies *begun) {
  for (; begun->arrived < begun->stage - 1; begun->arrived++) {
    const int slot = begun->arrived % MOST_STAGES;
    for (int i = 0; i < begun->counts[slot]; i++) *begun->to[slot][i] = begun->values[slot][i];
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

uint4 load_matrices(local warp_exchange *exchange, const local ushort8 *row) {
  const int item = get_local_id(0) % WARP, g = item / 4;
  exchange->rows[item] = (const local uint *)row;
  barrier(CLK_LOCAL_MEM_FENCE);
  const uint4 words = (uint4)(exchange->rows[g][item % 4], exchange->rows[8 + g][item % 4], exchange->rows[16 + g][item % 4],
                              exchange->rows[24 + g][item % 4]);
  barrier(CLK_LOCAL_MEM_FENCE);
  return words;
}

/// Puts an item's fragments where all items of its warp find them.
void give_fragments(local warp_exchange *exchange, int item, uint4 a, uint2 b) {
  exchange->a[0][item] = a.x, exchange->a[1][item] = a.y, exchange->a[2][item] = a.z, exchange->a[3][item] = a.w;
  exchange->b[0][item] = b.x, exchange->b[1][item] = b.y;
  barrier(CLK_LOCAL_MEM_FENCE);
}

/// Columns are summed in order from 0, then added.
void multiply_fragments(local warp_exchange *exchange, float sums[4], uint4 a, uint2 b) {
  const int item = get_local_id(0) % WARP;
  give_fragments(exchange, item, a, b);
  for (int i = 0; i < 4; i++) {
    const int row = item / 4, other = item % 4 * 2 + i % 2;
    float sum = 0;
    for (int c = 0; c < 16; c += 2) {
      const uint pair = exchange->a[c / 8 * 2 + i / 2][4 * row + c % 8 / 2], others = exchange->b[c / 8][4 * other + c % 8 / 2];
      sum = multiply_add(as_float(pair << 16), as_float(others << 16), sum);
      sum = multiply_add(as_float(pair & 0xffff0000), as_float(others & 0xffff0000), sum);
    }
    sums[i] += sum;
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}

/// Sums of products of `quads` times four int8.
void multiply_bytes(local warp_exchange *exchange, float sums[4], uint4 a, uint2 b, int quads) {
  const int item = get_local_id(0) % WARP;
  give_fragments(exchange, item, a, b);
  for (int i = 0; i < 4; i++) {
    const int row = item / 4, other = item % 4 * 2 + i % 2;
    int4 products = 0;
    for (int q = 0; q < quads; q++) {
      const uint codes = exchange->a[q / 4 * 2 + i / 2][4 * row + q % 4], others = exchange->b[q / 4][4 * other + q % 4];
      products += convert_int4(as_char4(codes)) * convert_int4(as_char4(others));
    }
    sums[i] = (float)(products.x + products.y + products.z + products.w);
  }
  barrier(CLK_LOCAL_MEM_FENCE);
}
void multiply_32_bytes(local warp_exchange *exchange, float sums[4], uint4 a, uint2 b) { multiply_bytes(exchange, sums, a, b, 8); }
void multiply_16_bytes(local warp_exchange *exchange, float sums[4], uint2 a, uint b) {
  multiply_bytes(exchange, sums, (uint4)(a, 0, 0), (uint2)(b, 0), 4);
}

uint value_across(local warp_exchange *exchange, uint value) {
  const int item = get_local_id(0) % WARP;
  exchange->a[0][item] = value;
  barrier(CLK_LOCAL_MEM_FENCE);
  const uint result = exchange->a[0][item ^ 2];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}
void share_in_fours(local warp_exchange *exchange, float value, float values[4]) {
  const int item = get_local_id(0) % WARP;
  exchange->a[0][item] = as_uint(value);
  barrier(CLK_LOCAL_MEM_FENCE);
  for (int i = 0; i < 4; i++) values[i] = as_float(exchange->a[0][item / 4 * 4 + i]);
  barrier(CLK_LOCAL_MEM_FENCE);
}
