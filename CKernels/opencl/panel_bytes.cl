// Panels of levels as bytes without sign, for compilers that have the 512-bit vectors of x86-64: four columns of 16 rows are one vector, neighbouring
// products meet in 16 bits.

#ifndef __AVX512BW__
#error no vectors of 512 bits
#endif

typedef uint16 panel_quad;
typedef int part_sums __attribute__((vector_size(64)));
typedef short panel_words __attribute__((vector_size(64)));
typedef char panel_bytes __attribute__((vector_size(64)));
#define float_sums(sums) convert_float16(as_int16(sums))

/// What levels are raised by, and the largest level then. Levels of eight bits are multiplied in two parts, since 16 bits do not hold two products.
enum { ZERO = -JOIN(lowest_, FORMAT), MOST = JOIN(highest_, FORMAT) + ZERO, PARTS = MOST < 128 ? 1 : 2, MOST_OF_PART = PARTS > 1 ? 15 : MOST };
/// Quads whose products 16 bits hold.
enum { HELD = MOST_OF_PART < 16 ? 8 : MOST_OF_PART < 32 ? 4 : MOST_OF_PART < 64 ? 2 : 1, WORDS = HELD < GROUP / 4 ? HELD : GROUP / 4 };

void put_quad(panel_quad *target, uint16 levels) {
  // The top bits are put aside, so that no byte carries.
  const uint raise = ZERO * 0x01010101u;
  *target = ((levels & 0x7f7f7f7fu) + (raise & 0x7f7f7f7fu)) ^ ((levels ^ raise) & 0x80808080u);
}

panel_bytes part_of(panel_quad levels, int part) {
  return (panel_bytes)(PARTS > 1 ? levels >> (uint)(4 * part) & 0x0f0f0f0fu : levels);
}

/// Sums of one group for COUNT rows from `codes` on.
#define MULTIPLY_GROUP(COUNT, panel, codes, sums, low, high)                                                                        \
  UNROLLED for (int i = 0; i < COUNT; i++) low[i] = high[i] = (part_sums)(int16)(-ZERO * sums[i]);                                  \
  UNROLLED for (int part = 0; part < PARTS; part++) {                                                                               \
    UNROLLED for (int first = 0; first < GROUP / 4; first += WORDS) {                                                               \
      panel_words below[COUNT], above[COUNT];                                                                                       \
      UNROLLED for (int q = first; q < first + WORDS; q++) {                                                                        \
        const panel_bytes levels = part_of(panel[2 * q], part), others = part_of(panel[2 * q + 1], part);                           \
        UNROLLED for (int i = 0; i < COUNT; i++) {                                                                                  \
          const panel_bytes quad = (panel_bytes)(uint16)(codes[q][i]);                                                              \
          const panel_words one = __builtin_ia32_pmaddubsw512(levels, quad), other = __builtin_ia32_pmaddubsw512(others, quad);     \
          below[i] = q > first ? below[i] + one : one, above[i] = q > first ? above[i] + other : other;                             \
        }                                                                                                                           \
      }                                                                                                                             \
      const panel_words times = (panel_words)(uint16)(part ? 0x100010u : 0x10001u);                                                 \
      UNROLLED for (int i = 0; i < COUNT; i++) {                                                                                    \
        low[i] += (part_sums)__builtin_ia32_pmaddwd512(below[i], times);                                                            \
        high[i] += (part_sums)__builtin_ia32_pmaddwd512(above[i], times);                                                           \
      }                                                                                                                             \
    }                                                                                                                               \
  }
