// Products and nonlinearities as they are defined, in double precision.

internal import Foundation

/// y[i, r] = sum over c of weights[r, c] x[i, c], [m, rows], each sum in order of the columns.
public func naiveProduct(_ weights: [Float], rows: Int, columns: Int, _ x: [Float]) -> [Double] {
  var y = [Double](repeating: 0, count: columns == 0 ? 0 : x.count / columns * rows)
  for i in 0..<(y.count / max(rows, 1)) {
    for r in 0..<rows {
      var sum = 0.0
      for c in 0..<columns { sum += Double(weights[r * columns + c]) * Double(x[i * columns + c]) }
      y[i * rows + r] = sum
    }
  }
  return y
}

/// Length of a vector.
public func norm(_ x: some Sequence<Float>) -> Double { x.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }

/// The nonlinearities of experts.
public enum NaiveActivation: Sendable, CaseIterable {
  case silu, gelu, geluTanh, relu, relu2, swigluOAI

  public func callAsFunction(_ x: Double) -> Double {
    switch self {
    case .silu, .swigluOAI: x * sigmoid(x)
    case .gelu: 0.5 * x * (1 + erf(x / 2.0.squareRoot()))
    case .geluTanh: 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .relu: max(x, 0)
    case .relu2: max(x, 0) * max(x, 0)
    }
  }

  /// act(gate) up with both clamped first; act(up) without a gate, which no limit touches.
  public func callAsFunction(gate: Double?, up: Double, limit: Double, alpha: Double) -> Double {
    guard let gate else { return self(up) }
    let g = min(gate, limit), u = max(min(up, limit), -limit)
    return self == .swigluOAI ? (u + 1) * g * sigmoid(alpha * g) : self(g) * u
  }
}

/// Scores of one row of logits.
public func naiveScores(_ score: RouterOracle.Score, _ logits: [Float]) -> [Double] {
  switch score {
  case .softmax: softmax(logits.map(Double.init))
  case .sigmoid: logits.map { sigmoid(Double($0)) }
  case .sqrtSoftplus: logits.map { (max(Double($0), 0) + log1p(exp(-abs(Double($0))))).squareRoot() }
  case .identity: logits.map(Double.init)
  }
}

/// Indices of the k largest numbers above -inf, ties to the lower.
public func naiveTopK(_ scores: [Float], _ k: Int) -> [Int] { Array(ranked(scores).prefix(k)) }
