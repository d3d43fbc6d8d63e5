// Eight lanes as the compiler's own vectors: it maps them to the registers of the ISA that is being compiled.
//
// Operators act lane by lane; a comparison gives all ones or zeros, and `mask ? a : b` chooses lane by lane.
#pragma once

// Vectors pass by value between inlined bodies only; no call with them is left.
#pragma clang diagnostic ignored "-Wpsabi"

enum { LANES = 8 };

typedef float floats __attribute__((ext_vector_type(LANES)));
typedef double doubles __attribute__((ext_vector_type(LANES)));
typedef uint64_t longs __attribute__((ext_vector_type(LANES)));
typedef bool flags __attribute__((ext_vector_type(LANES)));

BODY floats load_floats(const float *p) {
  floats v;
  memcpy(&v, p, sizeof v);
  return v;
}

/// The first `count` lanes from memory, `rest` in the others.
BODY floats load_some(const float *p, int64_t count, float rest) {
  if (count >= LANES) return load_floats(p);
  float values[LANES];
  for (int i = 0; i < LANES; i++) values[i] = i < count ? p[i] : rest;
  return load_floats(values);
}

BODY void store_some(floats v, float *p, int64_t count) {
  if (count >= LANES)
    memcpy(p, &v, sizeof v);
  else
    for (int i = 0; i < count; i++) p[i] = v[i];
}

BODY doubles widen(floats v) { return __builtin_convertvector(v, doubles); }
BODY floats narrow(doubles v) { return __builtin_convertvector(v, floats); }
BODY doubles root(doubles v) { return __builtin_elementwise_sqrt(v); }

BODY longs bits_of(doubles v) {
  longs bits;
  memcpy(&bits, &v, sizeof bits);
  return bits;
}

BODY doubles doubles_of(longs bits) {
  doubles v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

/// a where it is greater, else b: b where a is NaN.
BODY floats larger(floats a, floats b) { return a > b ? a : b; }

/// One bit a lane, lane 0 lowest, where a > b; NaN is never greater.
BODY uint64_t bits_greater(floats a, floats b) {
  flags set = __builtin_convertvector(a > b, flags);
  uint8_t bits;
  memcpy(&bits, &set, 1);
  return bits;
}

/// One bit a lane where a >= b.
BODY uint64_t bits_not_less(floats a, floats b) {
  flags set = __builtin_convertvector(a >= b, flags);
  uint8_t bits;
  memcpy(&bits, &set, 1);
  return bits;
}
