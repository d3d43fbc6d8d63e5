// One router of every selection kind, with the facts that the metamorphic tests need.

import MoERouting
import Testing

/// A selection kind over a number of experts, with logits of its own shape.
struct SelectionKind: Sendable, CustomTestStringConvertible {
  let name: String
  let configuration: RouterConfiguration
  /// Adding a constant to all logits of a row changes nothing.
  let ignoresShift: Bool
  /// Another order of experts only relabels them.
  let allowsPermutation: Bool
  /// Tokens do not see one another.
  let isPerToken: Bool

  init(_ name: String, _ configuration: RouterConfiguration, ignoresShift: Bool, allowsPermutation: Bool = true, isPerToken: Bool = true) {
    self.name = name
    self.configuration = configuration
    self.ignoresShift = ignoresShift
    self.allowsPermutation = allowsPermutation
    self.isPerToken = isPerToken
  }

  var testDescription: String { name }

  static let all: [SelectionKind] = [
    .init("softmax", .softmax(24, k: 5), ignoresShift: true),
    .init("softmax, norm", .softmax(24, k: 5, norm: .init()), ignoresShift: true),
    .init("softmax, 2-norm, scale", .init(scores: 24, score: .softmax, selection: .topK(4), norm: .init(p: 2), scale: 2.5), ignoresShift: true),
    .init("softmax of selected", .init(scores: 24, score: .identity, selection: .topK(5), weight: .softmaxOfSelected), ignoresShift: true),
    .init("sigmoid of selected", .init(scores: 24, score: .identity, selection: .topK(2), weight: .sigmoidOfSelected), ignoresShift: false),
    .init("sigmoid", .init(scores: 24, score: .sigmoid, selection: .topK(5), norm: .init(epsilon: 1e-20)), ignoresShift: false),
    .init("sqrtsoftplus", .init(scores: 24, score: .sqrtSoftplus, selection: .topK(5), norm: .init()), ignoresShift: false),
    .init(
      "groups by max", .init(scores: 24, score: .softmax, selection: .topK(3), groups: .init(count: 6, kept: 3, score: .max, fill: 0)),
      ignoresShift: true, allowsPermutation: false),
    .init(
      "groups by two", .init(scores: 24, score: .sigmoid, selection: .topK(3), groups: .init(count: 6, kept: 3, score: .topTwoSum)),
      ignoresShift: false, allowsPermutation: false),
    .init("top-p", .init(scores: 24, score: .softmax, selection: .topP(0.6)), ignoresShift: true),
    .init("prototypes", .init(scores: 24, score: .softmax, selection: .topOfEachGroup(6)), ignoresShift: true, allowsPermutation: false),
    .init("sparsemixer", .init(scores: 24, score: .softmax, selection: .sparseMixer(epsilon: 0.1)), ignoresShift: false),
    .init("all", .init(scores: 24, score: .softmax, selection: .all), ignoresShift: true),
    .init("all, norm over all", .init(scores: 24, score: .sigmoid, selection: .all, norm: .init(over: .all)), ignoresShift: false),
    .init("expert choice", .init(scores: 24, score: .softmax, selection: .expertChoice(factor: 2)), ignoresShift: true, isPerToken: false),
    .init(
      "capacity",
      .init(scores: 24, score: .softmax, selection: .topK(3), capacity: .init(.assignments(2), order: .rankMajor, perSequence: false)),
      ignoresShift: true, isPerToken: false),
    .init(
      "product keys",
      .init(scores: 24, experts: 144, score: .identity, selection: .productKeys(keys: 12, k: 7), weight: .softmaxOfSelected),
      ignoresShift: true, allowsPermutation: false, isPerToken: false),
  ]

  static let perToken = all.filter(\.isPerToken)
}
