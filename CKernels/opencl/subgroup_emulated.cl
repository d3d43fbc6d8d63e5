// The vocabulary of subgroup_ptx.cl in plain C, for tests on other devices: lanes exchange through local memory.
//
// Every item of a group has to come by: a condition around this is the same for all, and the end of a loop.
enum { SPAN = 16 };
#define IN_SUBGROUPS

#define EACH(n, count, most) for (int n = 0; n < (count); n++)

typedef struct { uint words[SPAN]; } span_exchange;

uint across(local span_exchange *exchange, uint word, int mask) {
  const int lane = get_local_id(0) % SPAN;
  exchange->words[lane] = word;
  barrier(CLK_LOCAL_MEM_FENCE);
  const uint result = exchange->words[lane ^ mask];
  barrier(CLK_LOCAL_MEM_FENCE);
  return result;
}
