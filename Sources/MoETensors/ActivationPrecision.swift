// How activations meet quantized weights.

/// Arithmetic of the experts' products.
public enum ActivationPrecision: String, Sendable, Hashable, CaseIterable {
  /// f32 activations, exact to rounding.
  case float
  /// Activations rounded to int8 with one scale a 32 columns, products summed as integers; formats without such a kernel use `float`.
  case int8
  /// Activations rounded to bf16, pairs of products summed in f32, where weights are bf16 and the CPU multiplies it, or a device; elsewhere `float`.
  case bfloat16
}
