// Every kernel table that this CPU can run, against the scalar table and naive sums: formats x shapes x slots, in plain C.
//
// Of AMX also the table on emulated tiles. `driver` runs all shapes, `driver small` a sample. The last line is
// `N passed, N failed, tables not run: ...`; exit 1 on a failure.
#include "driver.h"

#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

bool is_small;
counts total;
static const char *table_name;
static uint64_t recorded = 0xcbf29ce484222325;

void check(bool holds, const char *format, ...) {
  if (holds) {
    total.passed++;
    return;
  }
  if (total.failed++ >= 20) return;
  va_list arguments;
  va_start(arguments, format);
  printf("%s: ", table_name);
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

bool same_bits(const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; i++)
    if (memcmp(a + i, b + i, sizeof *a) && !(a[i] != a[i] && b[i] != b[i])) return false;
  return true;
}

void record_bytes(const void *bytes, int64_t count) {
  const uint8_t *p = bytes;
  for (int64_t i = 0; i < count; i++) recorded = (recorded ^ p[i]) * 0x100000001b3;
}

void record_floats(const float *values, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    float v = values[i] == values[i] ? values[i] : (float)NAN;
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    if (v != v) bits = 0x7fc00000;
    record_bytes(&bits, sizeof bits);
  }
}

/// SplitMix64.
uint64_t next_random(seeded *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

int64_t next_below(seeded *random, int64_t bound) { return (int64_t)(next_random(random) >> 33) % bound; }
float next_float(seeded *random) { return (float)((int32_t)(next_random(random) >> 40) - (1 << 23)) * 0x1p-23f; }

void fill_floats(seeded *random, float *values, int64_t count, float amplitude) {
  for (int64_t i = 0; i < count; i++) values[i] = amplitude * next_float(random);
}

/// Bytes of the whole pages that `bytes` need, the unreadable one aside.
static size_t whole_pages(int64_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return ((size_t)bytes + page - 1) / page * page;
}

void *take_guarded(int64_t bytes) {
  size_t size = whole_pages(bytes), page = (size_t)sysconf(_SC_PAGESIZE);
  uint8_t *memory = mmap(NULL, size + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory + size, page, PROT_NONE)) {
    perror("guarded memory");
    exit(2);
  }
  return memory + size - bytes;
}

void give_guarded(void *memory, int64_t bytes) {
  size_t size = whole_pages(bytes), page = (size_t)sysconf(_SC_PAGESIZE);
  munmap((uint8_t *)memory + bytes - size, size + page);
}

int main(int argc, char **argv) {
  is_small = argc > 1 && !strcmp(argv[1], "small");
  if (argc > 1 && !is_small) return fprintf(stderr, "usage: %s [small]\n", argv[0]), 2;
  setvbuf(stdout, NULL, _IOLBF, 0);
  int32_t tables = moe_kernels_count();
  const moe_kernels *scalar = moe_kernels_at(tables - 1);
  char missing[256] = "";
  for (int32_t i = tables - 1; i >= 0; i--) {
    const moe_kernels *kernels = moe_kernels_at(i);
    counts before = total;
    table_name = kernels->name;
    if (!kernels->supported()) {
      snprintf(missing + strlen(missing), sizeof missing - strlen(missing), "%s%s", *missing ? " " : "", kernels->name);
      continue;
    }
    check_products(kernels, scalar);
    check_slots(kernels, scalar);
    printf("table %s: %lld passed, %lld failed\n", kernels->name, (long long)(total.passed - before.passed),
           (long long)(total.failed - before.failed));
  }
  printf("bits that are the same on every CPU: %016llx\n", (unsigned long long)recorded);
  printf("%lld passed, %lld failed, tables not run: %s\n", (long long)total.passed, (long long)total.failed, *missing ? missing : "none");
  return total.failed > 0;
}
