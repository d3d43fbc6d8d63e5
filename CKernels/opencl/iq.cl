// What the iq formats share: levels of four-bit codes, and entries of the code books made into eight signed levels as formats/iq_levels.h does.

/// The levels of four-bit codes.
char8 iq4_levels_of(uchar8 c) {
  return (char8)(iq4_levels[c.s0], iq4_levels[c.s1], iq4_levels[c.s2], iq4_levels[c.s3],
                 iq4_levels[c.s4], iq4_levels[c.s5], iq4_levels[c.s6], iq4_levels[c.s7]);
}

/// Eight two-bit steps of an entry, and four four-bit steps of each of two.
int8 steps_of_pairs(uint entry) { return as_int8((uint8)entry >> (uint8)(0, 2, 4, 6, 8, 10, 12, 14) & 3u); }
int8 steps_of_nibbles(uint first, uint second) { return as_int8((uint8)(first | second << 16) >> (uint8)(0, 4, 8, 12, 16, 20, 24, 28) & 15u); }

/// Seven signs, and the eighth that makes their number even.
uint even_signs(uint seven) { return seven | (popcount(seven) & 1u) << 7; }

/// Negative where the bit is set.
char8 with_signs(int8 levels, uint signs) { return convert_char8(select(levels, -levels, (int8)signs << (int8)(31, 30, 29, 28, 27, 26, 25, 24))); }

/// 8, 25, 43.
char8 iq2_levels(uint entry, uint signs) {
  int8 steps = steps_of_pairs(entry);
  return with_signs(8 + 17 * steps + (steps >> 1), signs);
}
/// 4, 12, 20, ... 52, 62.
char8 iq3_xxs_levels(uint first, uint second, uint signs) {
  int8 steps = steps_of_nibbles(first, second);
  return with_signs(4 + 8 * steps + ((steps + 1) >> 3) * 2, signs);
}
/// 1, 3, 5, ... 15.
char8 iq3_s_levels(uint first, uint second, uint signs) { return with_signs(1 + 2 * steps_of_nibbles(first, second), signs); }
/// -8, 0, 8, all shifted by 1, up or down.
char8 iq1_levels(uint entry, bool down) { return convert_char8(8 * steps_of_pairs(entry) - (down ? 9 : 7)); }
