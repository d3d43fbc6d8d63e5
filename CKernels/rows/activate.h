// Expert nonlinearities on rows between the two GEMMs.
#pragma once

/// e^x within about 2 ulp for x in [-87, 88]; the caller keeps x inside.
BODY float exp_float(float x) {
  float n = x * 1.44269504f + 12582912.0f;
  n -= 12582912.0f;
  float r = x - n * 0.693359375f - n * -2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1;
  return p * float_of_bits((uint32_t)((int32_t)n + 127) << 23);
}

/// NaN stays NaN: both comparisons are false for it.
BODY float sigmoid_float(float x) {
  float clamped = x < -87 ? -87 : x > 87 ? 87 : x;
  float inside = clamped == clamped ? clamped : 0;
  float s = 1 / (1 + exp_float(-inside));
  return x < -87 ? 0 : x == x ? s : x;
}

BODY float activation_of(moe_activation kind, float x) {
  switch (kind) {
    case MOE_GELU: return 0.5f * x * (1 + erff(x * 0.70710678f));
    case MOE_GELU_TANH: return x * sigmoid_float(1.5957691216f * (x + 0.044715f * x * x * x));
    case MOE_RELU: return x < 0 ? 0 : x;
    case MOE_RELU2: return x < 0 ? 0 : x * x;
    default: return x == -INFINITY ? 0 : x * sigmoid_float(x);
  }
}

/// One value; `gate` of experts that have none is not read.
BODY float activated(moe_activation kind, float limit, float alpha, bool is_gated, float gate, float up) {
  if (!is_gated) return activation_of(kind, up);
  gate = gate > limit ? limit : gate;
  up = up > limit ? limit : up < -limit ? -limit : up;
  return kind == MOE_SWIGLU_OAI ? (up + 1) * (gate == -INFINITY ? 0 : gate * sigmoid_float(alpha * gate)) : activation_of(kind, gate) * up;
}

/// Results go through memory of their own: `out` may be gate or up, where the compiler would not use vectors.
BODY void activate_as(moe_activation kind, float limit, float alpha, const float *gate, const float *up, int64_t n, float *out) {
  enum { STEP = 64 };
  for (int64_t j = 0, count; j < n; j += count) {
    float values[STEP];
    count = n - j < STEP ? n - j : STEP;
    if (gate)
      for (int64_t i = 0; i < count; i++) values[i] = activated(kind, limit, alpha, true, gate[j + i], up[j + i]);
    else
      for (int64_t i = 0; i < count; i++) values[i] = activated(kind, limit, alpha, false, 0, up[j + i]);
    memcpy(out + j, values, (size_t)count * sizeof *values);
  }
}

static void activate(moe_expert_activation a, const float *gate, const float *up, int64_t n, float *out) {
  switch (a.kind) {
    case MOE_SILU: activate_as(MOE_SILU, a.limit, a.alpha, gate, up, n, out); break;
    case MOE_GELU: activate_as(MOE_GELU, a.limit, a.alpha, gate, up, n, out); break;
    case MOE_GELU_TANH: activate_as(MOE_GELU_TANH, a.limit, a.alpha, gate, up, n, out); break;
    case MOE_RELU: activate_as(MOE_RELU, a.limit, a.alpha, gate, up, n, out); break;
    case MOE_RELU2: activate_as(MOE_RELU2, a.limit, a.alpha, gate, up, n, out); break;
    case MOE_SWIGLU_OAI: activate_as(MOE_SWIGLU_OAI, a.limit, a.alpha, gate, up, n, out); break;
  }
}
