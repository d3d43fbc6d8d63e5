// Tensor cores of NVIDIA's devices from compute capability 8.0 on: what the 32 items of a warp do together, and copies that go on beside it.
//
// Fragments are as PTX lays them out, two bf16 in a word; item i of a warp has, with g = i / 4 and t = i % 4 * 2,
//   a        rows g and g + 8 at columns t and t + 1, then both at columns t + 8 and t + 9
//   b        row g at columns t and t + 1, then at t + 8 and t + 9
//   sums     row g of a with rows t and t + 1 of b, then row g + 8
// and of int8, four in a word, which are 16 or 32 columns: with t = i % 4 * 4,
//   a        rows g and g + 8 at columns t to t + 3; of 32 columns then both from t + 16 on
//   b        row g at the same columns
enum { WARP = 32 };

/// For n from 0 to `tiles`, at most `most`, where every n is known to the compiler.
#define EACH_TILE(n, tiles, most) UNROLLED for (int n = 0; n < most; n++) if (n < (tiles))

/// What items of a warp exchange, and copies that an item has begun: here the device's own.
typedef struct { uchar none; } warp_exchange;
typedef struct { uchar none; } copies;

/// Begins to copy eight columns, or zeros.
void begin_copy(copies *begun, local ushort8 *to, const global ushort *from, bool is_inside) {
  __asm__ volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"((uint)(size_t)to), "l"(from), "r"(is_inside ? 16 : 0) : "memory");
}
/// Ends a stage of copies.
void end_stage(copies *begun) { __asm__ volatile("cp.async.commit_group;" : : : "memory"); }
/// Waits for all stages but the last, of all items of the group.
void await_stages(copies *begun) {
  __asm__ volatile("cp.async.wait_group 1;" : : : "memory");
  barrier(CLK_LOCAL_MEM_FENCE);
}

/// Four matrices of 8 by 8: items 8 k to 8 k + 7 say where the rows of matrix k are; each gets row g, columns t and t + 1, of all.
uint4 load_matrices(local warp_exchange *exchange, const local ushort8 *row) {
  uint x, y, z, w;
  __asm__ volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                   : "=r"(x), "=r"(y), "=r"(z), "=r"(w) : "r"((uint)(size_t)row) : "memory");
  return (uint4)(x, y, z, w);
}

/// sums += a * b over 16 columns.
void multiply_fragments(local warp_exchange *exchange, float sums[4], uint4 a, uint2 b) {
  __asm__ volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                   : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                   : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y));
}

/// What sums of int8 begin with, the bits of 1.5 * 2^23: a float's last ones are the sum then, and a subtraction costs less than a conversion.
enum { NO_SUM = 0x4b400000 };
void floats_of_sums(const uint words[4], float sums[4]) {
  UNROLLED for (int i = 0; i < 4; i++) sums[i] = as_float(words[i]) - 12582912.0f;
}

/// Exact sums of products over 32, and over 16, columns of int8.
void multiply_32_bytes(local warp_exchange *exchange, float sums[4], uint4 a, uint2 b) {
  uint words[4];
  __asm__ volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
                   : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                   : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b.x), "r"(b.y), "r"(NO_SUM));
  floats_of_sums(words, sums);
}
void multiply_16_bytes(local warp_exchange *exchange, float sums[4], uint2 a, uint b) {
  uint words[4];
  __asm__ volatile("mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%7, %7, %7, %7};"
                   : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3]) : "r"(a.x), "r"(a.y), "r"(b), "r"(NO_SUM));
  floats_of_sums(words, sums);
}

/// Of the four items 4 g to 4 g + 3, the value of the one two places away.
uint value_across(local warp_exchange *exchange, uint value) {
  uint result;
  __asm__ volatile("shfl.sync.bfly.b32 %0, %1, 2, 0x1f, 0xffffffff;" : "=r"(result) : "r"(value));
  return result;
}
/// Of these, the values of all.
void share_in_fours(local warp_exchange *exchange, float value, float values[4]) {
  UNROLLED for (int i = 0; i < 4; i++)
    __asm__ volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1c1f, 0xffffffff;" : "=f"(values[i]) : "f"(value), "r"(i));
}
