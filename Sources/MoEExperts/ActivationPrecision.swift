// How activations meet quantized weights.

/// Arithmetic of the experts' products.
public enum ActivationPrecision: String, Sendable, Hashable, CaseIterable {
  /// f32 activations, exact to rounding.
  case float
  /// Activations rounded to int8 with one scale a 32 columns, products summed as integers; formats without such a kernel use `float`.
  case int8
}
