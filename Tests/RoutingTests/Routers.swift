// Routers without weights, and the small tools of the routing tests.

import MoEReference
import MoERouting
import MoETensors

extension SeededRandom {
  mutating func floats(_ count: Int) -> [Float] { floats(count, in: -3...3) }
}

/// The fixture F1 of the worked examples.
let f1: [Float] = [2, 1, 0.5, -1]
/// The eight logits of the group examples.
let grouped: [Float] = [2, -2, 1, 0.9, 0.2, 0.1, -1, -1.5]

/// A router that is given logits; its weight is never read.
func router(_ configuration: RouterConfiguration, choiceBias: [Float]? = nil) throws -> Router {
  try Router(configuration, weight: [Float](repeating: 0, count: configuration.scores), hidden: 1, choiceBias: choiceBias)
}

/// Experts and weights of one token.
func route(_ logits: [Float], _ configuration: RouterConfiguration, choiceBias: [Float]? = nil) throws -> [(expert: Int, weight: Float)] {
  try router(configuration, choiceBias: choiceBias).route(logits: logits).assignments(of: 0)
}

extension [(expert: Int, weight: Float)] {
  var experts: [Int] { map(\.expert) }
  var weights: [Float] { map(\.weight) }

  /// The same experts in the same order, weights to the six digits of the worked examples.
  func agrees(_ expected: KeyValuePairs<Int, Double>) -> Bool {
    experts == expected.map(\.key) && zip(weights, expected).allSatisfy { abs(Double($0) - $1.value) <= 1e-6 * Swift.max(1, abs($1.value)) }
  }
}

extension RouterOutput {
  /// Bits of every token, so that NaN equals itself.
  var bits: [[UInt64]] {
    (0..<tokens).map { assignments(of: $0).map { UInt64($0.expert) << 32 | UInt64($0.weight.bitPattern) } }
  }
}

extension RouterConfiguration {
  /// Softmax, top-k, weights as they are.
  static func softmax(_ scores: Int, k: Int, norm: Norm? = nil) -> RouterConfiguration {
    RouterConfiguration(scores: scores, score: .softmax, selection: .topK(k), norm: norm)
  }
}
