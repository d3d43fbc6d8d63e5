// Compares outputs of a layer with the double-precision oracle on the same decoded weights.

import MoE
import MoEReference

/// The oracle's values of three tokens at some columns, computed once a layer.
final class OutputCheck {
  /// Times the norm of a row's products: what rounding may do on float activations. Sums run over up to 256 values in one chain.
  static let floatBound = 16 * Double(Float.ulpOfOne)
  /// Sum of squared errors over sum of squares on int8 activations.
  static let int8Bound = 3e-4
  /// Likewise on bf16 activations: 24 times what rounding them once does, which is 2^-16 / 6 for even significands.
  static let bfloat16Bound = 0x1p-14
  static let tokens = 3

  /// What an error may be at most.
  static func bound(_ activations: ActivationPrecision) -> Double {
    switch activations {
    case .float: floatBound
    case .int8: int8Bound
    case .bfloat16: bfloat16Bound
    }
  }

  let columns: [Int]
  private let layer: MoELayer
  private let pool: WorkerPool
  private let states: [[Float]]
  private var known: [Int: (routing: [(expert: Int, weight: Float)], values: [NormedValue])] = [:]

  /// - Parameter states: the hidden states of the tokens.
  init(_ layer: MoELayer, states: [[Float]], pool: WorkerPool) {
    self.layer = layer
    self.states = states
    self.pool = pool
    let count = min(32, layer.hidden)
    columns = (0..<count).map { count == 1 ? 0 : $0 * (layer.hidden - 1) / (count - 1) }
  }

  /// The largest error of the outputs: in row norms for float activations, normalized squares for rounded ones.
  func error(_ outputs: [(token: Int, row: [Float], routing: [(expert: Int, weight: Float)])], isRounded: Bool) -> Double {
    let missing = outputs.filter { output in !(known[output.token].map { same($0.routing, output.routing) } ?? false) }
    var computed = [[NormedValue]](repeating: [], count: missing.count)
    computed.withUnsafeMutableBufferPointer { computed in
      pool.run(tasks: missing.count) { [computed] task, _ in
        computed[task] = oracle(states[missing[task].token], missing[task].routing, columns: columns)
      }
    }
    for (output, values) in zip(missing, computed) { known[output.token] = (output.routing, values) }
    var largest = 0.0, distance = 0.0, scale = 0.0
    for output in outputs {
      for (column, exact) in zip(columns, known[output.token]!.values) {
        let difference = abs(Double(output.row[column]) - exact.value)
        guard difference.isFinite else { return .infinity }
        largest = max(largest, difference / max(exact.norm, .leastNormalMagnitude))
        distance += difference * difference
        scale += exact.value * exact.value
      }
    }
    return isRounded ? distance / max(scale, .leastNormalMagnitude) : largest
  }

  private func same(_ a: [(expert: Int, weight: Float)], _ b: [(expert: Int, weight: Float)]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.expert == $1.expert && $0.weight == $1.weight }
  }

  private var oracle: LayerOracle {
    let weights = layer.weights
    var oracle = LayerOracle(experts: weights.experts.count) { ExpertOracle(weights.experts, $0) }
    oracle.weightOnInput = weights.experts.weightOnInput
    oracle.outputScale = Double(weights.experts.outputScale)
    oracle.latentIn = weights.latentIn.map { LinearOracle($0) }
    oracle.latentOut = weights.latentOut.map { LinearOracle($0) }
    oracle.shared = weights.shared.map { ExpertOracle($0, 0) }
    oracle.sharedGate = weights.sharedGate
    oracle.outputBias = weights.outputBias
    return oracle
  }
}

extension LinearOracle {
  init(_ matrix: PackedMatrix, bias: [Float]? = nil) {
    self.init(rows: matrix.rows, bias: bias) { matrix.decoded(rows: $0, count: 1) }
  }
}

extension ExpertOracle {
  init(_ bank: ExpertBank, _ index: Int) {
    let expert = bank.experts[index]
    self.init(
      gate: expert.gate.map { LinearOracle($0, bias: expert.gateBias) }, up: LinearOracle(expert.up, bias: expert.upBias),
      down: LinearOracle(expert.down, bias: expert.downBias), activation: ActivationOracle(bank.activation))
  }
}

extension ActivationOracle {
  init(_ activation: ExpertActivation) {
    let kind: Kind =
      switch activation.kind {
      case .silu: .silu
      case .gelu: .gelu
      case .geluTanh: .geluTanh
      case .relu: .relu
      case .relu2: .relu2
      case .swigluOAI: .swigluOAI
      }
    self.init(kind, limit: activation.limit.map(Double.init) ?? .infinity, alpha: Double(activation.alpha))
  }
}
