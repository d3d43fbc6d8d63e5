// The vocabulary of subgroup_khr.cl on NVIDIA's devices, which report no subgroups: a warp is two spans.
enum { SPAN = 16 };
#define IN_SUBGROUPS

#define EACH(n, count, most) UNROLLED for (int n = 0; n < (most); n++) if (n < (count))

typedef struct { uchar none; } span_exchange;

uint across(local span_exchange *exchange, uint word, int mask) {
  uint result;
  __asm__ volatile("shfl.sync.bfly.b32 %0, %1, %2, 31, 0xffffffff;" : "=r"(result) : "r"(word), "r"(mask));
  return result;
}
