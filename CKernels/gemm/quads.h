// Reading panels of codes: quads as they are multiplied, scales and minima of VEC_ROWS rows, values as `decode` gives them.
//
// Where a vector holds two panels, the second is `panel` bytes behind the first.
#pragma once

/// Floats of one byte: what moves sign, exponent and mantissa from the top of a word to where f32 has them, the factor that makes up for the
/// exponents' biases, and the least magnitude that stands for infinity or NaN.
typedef struct byte_float {
  int shift, special;
  uint32_t mask;
  float factor;
} byte_float;
static const byte_float byte_floats[FORMATS] = {
    [INDEX_f8_e4m3] = {.shift = 4, .special = 0x7f, .mask = 0x87f00000, .factor = 0x1p120f},
    [INDEX_f8_e5m2] = {.shift = 3, .special = 0x7c, .mask = 0x8fe00000, .factor = 0x1p112f}};

/// The format as this ISA multiplies it: where it takes unsigned codes alone, signed ones are moved up and their zero with them.
BODY code_format as_multiplied(code_format f) {
#ifdef UNSIGNED_CODES
  if (f.is_signed) f.zero += 128;
#endif
  return f;
}

/// True when products of the format's codes are those of signed numbers.
BODY bool multiplies_signed(code_format f) {
#ifdef UNSIGNED_CODES
  return false;
#else
  return f.is_signed;
#endif
}

/// Quad q of a plane of `bits` bits, which are bits of a code from `place` on.
BODY bytes load_plane(const uint8_t *plane, int64_t panel, int q, int bits, int place) {
  int side = 8 / bits;
  return take_bits(load_bytes(plane + 32 * (q / side), panel), bits * (q % side) - place, (uint8_t)(((1 << bits) - 1) << place));
}

/// Quad q of 32 columns as levels, their zero not taken off.
BODY bytes load_quad(code_format f, const uint8_t *codes, int64_t panel, int q) {
  int low = low_bits(f);
  bytes v = load_plane(codes, panel, q, low, 0);
  if (f.bits > low) v = or_bytes(v, load_plane(codes + 32 * low, panel, q, f.bits - low, low));
  return f.levels ? lookup(f.levels, v) : v;
}

/// The same as it meets activations.
BODY bytes load_factors(code_format f, const uint8_t *codes, int64_t panel, int q) {
  bytes v = load_quad(f, codes, panel, q);
#ifdef UNSIGNED_CODES
  if (f.is_signed) v = flip_signs(v);
#endif
  return v;
}

/// Adds the products of what `load_factors` gave.
BODY words dot_factors(code_format f, words sum, bytes factors, bytes x) {
#ifdef UNSIGNED_CODES
  return dot(sum, factors, x);
#else
  return f.is_signed ? signed_dot(sum, factors, x) : dot(sum, factors, x);
#endif
}

/// Zeros of a plane, negated.
BODY vec load_shifts(const uint8_t *unit, int64_t panel) { return multiply(splat(-1), load_unsigned_vec(unit + FLOAT_LINE, panel)); }

/// Scales and minima (zero where there are none) of group `g` of a unit; zeros of planes are minima.
BODY void load_scales(code_format f, const uint8_t *unit, int64_t panel, int64_t g, vec *scale, vec *minimum) {
  const uint8_t *steps = unit + HALF_LINE + g * CODE_ROWS, *pairs = unit + 2 * HALF_LINE + 2 * g * CODE_ROWS;
  const uint8_t *nibbles = unit + 2 * HALF_LINE + g * CODE_ROWS;
  *minimum = splat(0);
  switch (f.lines) {
    case LINES_HALF: *scale = load_half_vec(unit, panel); break;
    case LINES_HALF_MINIMUM: *scale = load_half_vec(unit, panel), *minimum = load_half_vec(unit + HALF_LINE, panel); break;
    case LINES_AFFINE:
      *scale = multiply(load_half_vec(unit, panel), load_unsigned_vec(pairs, panel));
      *minimum = multiply(multiply(splat(-1), load_half_vec(unit + HALF_LINE, panel)), load_unsigned_vec(pairs + CODE_ROWS, panel));
      break;
    case LINES_NIBBLES:
      *scale = multiply(load_half_vec(unit, panel), load_nibble_vec(nibbles, panel, 0));
      *minimum = multiply(multiply(splat(-1), load_half_vec(unit + HALF_LINE, panel)), load_nibble_vec(nibbles, panel, 4));
      break;
    case LINES_STEPS: *scale = multiply(load_half_vec(unit, panel), load_signed_vec(steps, panel)); break;
    case LINES_EIGHTHS: *scale = multiply(multiply(load_half_vec(unit, panel), load_signed_vec(steps, panel)), splat(0.125f)); break;
    case LINES_UE4M3: *scale = load_half_ue4m3(unit + g * CODE_ROWS, panel, f.global); break;
    case LINES_E8M0: *scale = load_half_exponents(unit, panel, false); break;
    case LINES_PLANES:
      *scale = load_float_vec(unit, panel);
      *minimum = multiply(*scale, load_shifts(unit, panel));
      break;
    case LINES_FLOATS: *scale = multiply(load_float_vec(unit, panel), load_half_exponents(unit + FLOAT_LINE, panel, true)); break;
    case LINES_E8M0_PLANE: *scale = load_half_exponents(unit, panel, true); break;
  }
}

/// Scales and minima likewise, as `value_of` takes them; zeros of planes are shifts of the levels.
BODY void load_units(code_format f, const uint8_t *unit, int64_t panel, int64_t g, vec *scale, vec *minimum) {
  load_scales(f, unit, panel, g, scale, minimum);
  if (f.lines == LINES_PLANES) *minimum = load_shifts(unit, panel);
  if (!has_small_scales(f)) *scale = multiply(*scale, splat(0x1p-24f));
}

/// Quad q of 32 columns as signed levels, less their zero.
BODY bytes load_levels(code_format f, const uint8_t *codes, int64_t panel, int q) {
  bytes v = load_quad(f, codes, panel, q);
  return f.zero ? subtract_bytes(v, splat_byte(f.zero)) : v;
}

/// Column c of a quad as `decode` gives it.
///
/// Levels come times 2^24, which a scale made of f16 takes back exactly; others may be too small for that. The product that a minimum is added
/// to is exact.
BODY vec value_of(code_format f, bytes levels, int c, vec scale, vec minimum) {
  if (has_floats(f)) {
    byte_float e4m3 = byte_floats[INDEX_f8_e4m3];
    return multiply(multiply(float_column_of(levels, c, e4m3.shift, e4m3.mask), splat(e4m3.factor)), scale);
  }
  vec level = column_of(levels, c);
  if (has_small_scales(f)) level = multiply(level, splat(0x1p-24f));
  if (f.lines == LINES_PLANES) return multiply(add_vec(level, minimum), scale);
  return has_minimum(f) ? multiply_add(level, scale, minimum) : multiply(level, scale);
}

/// Asks for what a vector's panels hold `ahead` bytes further on; behind the end of the first, reading goes on after the second.
BODY void prefetch_codes(int64_t panel, const uint8_t *panel_end, const uint8_t *codes, int64_t ahead, int64_t bytes) {
  for (int64_t b = 0; b < bytes; b += 64) {
    const uint8_t *p = codes + ahead + b;
    if (VEC_ROWS > CODE_ROWS) p += p >= panel_end ? panel : 0;
    for (int i = 0; i < VEC_ROWS / CODE_ROWS; i++) __builtin_prefetch(p + i * panel);
  }
}
