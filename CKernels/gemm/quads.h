// Reading panels of codes: quads as they are multiplied, scales and minima of eight rows.
#pragma once

/// Quad q of 32 columns as levels; those of signed formats without their zero.
BODY bytes load_quad(code_format f, const uint8_t *codes, int q) {
  if (f.bits == 8) return load_bytes(codes + 32 * q);
  bytes v = take_bits(load_bytes(codes + 32 * (q / 2)), 4 * (q % 2), 15);
  if (f.bits == 5) v = or_bytes(v, take_bits(load_bytes(codes + 128), q - 4, 16));
  if (f.bits == 6) v = or_bytes(v, take_bits(load_bytes(codes + 128 + 32 * (q / 4)), 2 * (q % 4) - 4, 48));
  if (f.levels) v = lookup(f.levels, v);
  return f.is_signed && f.zero ? subtract_bytes(v, (int8_t)f.zero) : v;
}

/// True when values have a minimum beside their scale.
BODY bool has_minimum(code_format f) { return f.lines == LINES_HALF_MINIMUM || f.lines == LINES_AFFINE; }

/// Scales and minima (zero where there are none) of group `g` of a unit.
BODY void load_scales(code_format f, const uint8_t *unit, int64_t g, vec *scale, vec *minimum) {
  const uint8_t *steps = unit + HALF_LINE + g * CODE_ROWS, *pairs = unit + 2 * HALF_LINE + 2 * g * CODE_ROWS;
  *minimum = splat(0);
  switch (f.lines) {
    case LINES_HALF: *scale = load_half_vec(unit); break;
    case LINES_HALF_MINIMUM: *scale = load_half_vec(unit), *minimum = load_half_vec(unit + HALF_LINE); break;
    case LINES_AFFINE:
      *scale = multiply(load_half_vec(unit), load_unsigned_vec(pairs));
      *minimum = multiply(multiply(splat(-1), load_half_vec(unit + HALF_LINE)), load_unsigned_vec(pairs + CODE_ROWS));
      break;
    case LINES_STEPS: *scale = multiply(load_half_vec(unit), load_signed_vec(steps)); break;
    case LINES_E8M0: *scale = load_half_exponents(unit, false); break;
    case LINES_E8M0_PLANE: *scale = load_half_exponents(unit, true); break;
  }
}
