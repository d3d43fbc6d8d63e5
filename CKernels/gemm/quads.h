// Reading panels of codes: quads as they are multiplied, scales and minima of VEC_ROWS rows.
//
// Where a vector holds two panels, the second is `panel` bytes behind the first.
#pragma once

/// Quad q of 32 columns as levels; those of signed formats without their zero.
BODY bytes load_quad(code_format f, const uint8_t *codes, int64_t panel, int q) {
  if (f.bits == 8) return load_bytes(codes + 32 * q, panel);
  bytes v = take_bits(load_bytes(codes + 32 * (q / 2), panel), 4 * (q % 2), 15);
  if (f.bits == 5) v = or_bytes(v, take_bits(load_bytes(codes + 128, panel), q - 4, 16));
  if (f.bits == 6) v = or_bytes(v, take_bits(load_bytes(codes + 128 + 32 * (q / 4), panel), 2 * (q % 4) - 4, 48));
  if (f.levels) v = lookup(f.levels, v);
  return f.is_signed && f.zero ? subtract_bytes(v, (int8_t)f.zero) : v;
}

/// Scales and minima (zero where there are none) of group `g` of a unit.
BODY void load_scales(code_format f, const uint8_t *unit, int64_t panel, int64_t g, vec *scale, vec *minimum) {
  const uint8_t *steps = unit + HALF_LINE + g * CODE_ROWS, *pairs = unit + 2 * HALF_LINE + 2 * g * CODE_ROWS;
  *minimum = splat(0);
  switch (f.lines) {
    case LINES_HALF: *scale = load_half_vec(unit, panel); break;
    case LINES_HALF_MINIMUM: *scale = load_half_vec(unit, panel), *minimum = load_half_vec(unit + HALF_LINE, panel); break;
    case LINES_AFFINE:
      *scale = multiply(load_half_vec(unit, panel), load_unsigned_vec(pairs, panel));
      *minimum = multiply(multiply(splat(-1), load_half_vec(unit + HALF_LINE, panel)), load_unsigned_vec(pairs + CODE_ROWS, panel));
      break;
    case LINES_STEPS: *scale = multiply(load_half_vec(unit, panel), load_signed_vec(steps, panel)); break;
    case LINES_E8M0: *scale = load_half_exponents(unit, panel, false); break;
    case LINES_E8M0_PLANE: *scale = load_half_exponents(unit, panel, true); break;
  }
}
