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

BODY void activate_as(moe_activation kind, float limit, float alpha, const float *gate, const float *up, int64_t n, float *out) {
  for (int64_t j = 0; j < n; j++) {
    float u = up[j];
    if (!gate) {
      out[j] = activation_of(kind, u);
      continue;
    }
    float g = gate[j];
    g = g > limit ? limit : g;
    u = u > limit ? limit : u < -limit ? -limit : u;
    out[j] = kind == MOE_SWIGLU_OAI ? (u + 1) * (g == -INFINITY ? 0 : g * sigmoid_float(alpha * g)) : activation_of(kind, g) * u;
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
