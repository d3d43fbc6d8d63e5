// The nonlinearities of experts in double precision, with the norm of their rounding errors.

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#else
  internal import Darwin
#endif

/// What lies between an expert's products.
public struct ActivationOracle: Sendable {
  public enum Kind: String, Sendable, CaseIterable { case silu, gelu, geluTanh, relu, relu2, swigluOAI }

  let kind: Kind
  /// gate <- min(gate, limit) and up <- clamp(up, -limit, limit) first.
  let limit: Double
  let alpha: Double

  public init(_ kind: Kind, limit: Double = .infinity, alpha: Double = 1.702) {
    self.kind = kind
    self.limit = limit
    self.alpha = alpha
  }

  public static func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

  /// act(gate) * up, or act(up); the norm carries those of the arguments through the slopes.
  func callAsFunction(_ gate: NormedValue?, _ up: NormedValue) -> NormedValue {
    guard let gate else {
      let value = outer(up.value)
      return NormedValue(value: value, norm: abs(value) + slope(up.value) * up.norm)
    }
    let g = min(gate.value, limit), u = max(-limit, min(up.value, limit)) + (kind == .swigluOAI ? 1 : 0)
    let a = outer(g)
    return NormedValue(value: a * u, norm: abs(a * u) + abs(u) * slope(g) * gate.norm + abs(a) * up.norm)
  }

  private func outer(_ x: Double) -> Double {
    switch kind {
    case .silu: x * Self.sigmoid(x)
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .relu: max(x, 0)
    case .relu2: max(x, 0) * max(x, 0)
    case .swigluOAI: x * Self.sigmoid(alpha * x)
    }
  }

  /// A bound of the slope at x: every smooth rectifier here stays below 1.2.
  private func slope(_ x: Double) -> Double { kind == .relu2 ? max(2 * x, 0) : 1.2 }
}
