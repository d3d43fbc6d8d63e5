// What no router may break: orders, shifts, splits of the batch, one expert, masks and ties.

import MoEReference
import MoERouting
import Testing

@Suite struct MetamorphicTests {
  static let tokens = 37

  /// Logits without ties, and the router of a kind.
  private func setUp(_ kind: SelectionKind, seed: UInt64 = 0x5EED) throws -> (logits: [Float], router: Router) {
    var random = SeededRandom(seed: seed)
    return (random.floats(Self.tokens * kind.configuration.scores), try router(kind.configuration))
  }

  private func rows(_ logits: [Float], _ order: [Int], of width: Int) -> [Float] { order.flatMap { logits[$0 * width..<($0 + 1) * width] } }

  @Test(arguments: SelectionKind.perToken)
  func tokensAreIndependent(_ kind: SelectionKind) throws {
    let (logits, router) = try setUp(kind), width = kind.configuration.scores
    let whole = try router.route(logits: logits).bits
    let order = Array((0..<Self.tokens).reversed())
    #expect(try router.route(logits: rows(logits, order, of: width)).bits == order.map { whole[$0] })
    for cut in [1, 16, 36] {
      let first = try router.route(logits: Array(logits[..<(cut * width)])).bits, second = try router.route(logits: Array(logits[(cut * width)...])).bits
      #expect(first + second == whole)
    }
  }

  @Test(arguments: SelectionKind.all)
  func aRouterIsAFunction(_ kind: SelectionKind) throws {
    let (logits, router) = try setUp(kind)
    #expect(try router.route(logits: logits).bits == router.route(logits: logits).bits)
    #expect(try router.route(logits: []).tokens == 0)
  }

  @Test(arguments: SelectionKind.all.filter(\.allowsPermutation))
  func permutingExpertsRelabels(_ kind: SelectionKind) throws {
    let (logits, router) = try setUp(kind), width = kind.configuration.scores
    let order = (0..<width).map { ($0 * 7 + 3) % width }
    let moved = (0..<Self.tokens).flatMap { token in order.map { logits[token * width + $0] } }
    let before = try router.route(logits: logits), after = try router.route(logits: moved)
    for token in 0..<Self.tokens {
      let a = before.assignments(of: token), b = after.assignments(of: token)
      #expect(b.map { order[$0.expert] } == a.experts)
      #expect(zip(a.weights, b.weights).allSatisfy { abs($0 - $1) <= 4 * $0.ulp })
    }
  }

  @Test(arguments: SelectionKind.all)
  func aConstantOnAllLogits(_ kind: SelectionKind) throws {
    let (logits, router) = try setUp(kind)
    // Multiples of 2^-16 up to 2^4: the shift is exact, so nothing but the router can tell.
    let coarse = logits.map { ($0 * 65536).rounded() / 65536 }
    let before = try router.route(logits: coarse).bits, after = try router.route(logits: coarse.map { $0 + 8 }).bits
    #expect((before == after) == kind.ignoresShift)
  }

  @Test func capacityAndExpertChoiceSeeTheBatch() throws {
    for kind in SelectionKind.all where !kind.isPerToken {
      let (logits, router) = try setUp(kind), width = kind.configuration.scores
      let alone = try (0..<Self.tokens).flatMap { try router.route(logits: Array(logits[$0 * width..<($0 + 1) * width])).bits }
      #expect(try router.route(logits: logits).bits != alone, "\(kind.name)")
    }
  }

  @Test func oneExpertTakesAll() throws {
    let records: [RouterConfiguration] = [
      .softmax(1, k: 1), .softmax(1, k: 1, norm: .init()), .init(scores: 1, score: .sigmoid, selection: .topK(1), norm: .init()),
      .init(scores: 1, score: .softmax, selection: .topP(0.5)), .init(scores: 1, score: .softmax, selection: .all),
      .init(scores: 1, score: .softmax, selection: .topOfEachGroup(1)), .init(scores: 1, score: .softmax, selection: .expertChoice(factor: 1)),
      .init(scores: 1, score: .identity, selection: .topK(1), weight: .softmaxOfSelected),
    ]
    for record in records { for logit in [Float](arrayLiteral: -50, 0, 3) { #expect(try route([logit], record).agrees([0: 1])) } }
  }

  @Test func everyExpertIsADenseMixture() throws {
    var random = SeededRandom(seed: 11)
    let logits = random.floats(24)
    let all = try route(logits, .init(scores: 24, score: .softmax, selection: .all)), topK = try route(logits, .softmax(24, k: 24))
    #expect(all.experts == topK.experts && all.weights == topK.weights)
    #expect(abs(all.weights.reduce(0, +) - 1) < 1e-6)
    #expect(Set(all.experts) == Set(0..<24))
  }

  @Test(arguments: SelectionKind.perToken)
  func tiesGoToTheLowerExpert(_ kind: SelectionKind) throws {
    let found = try route([Float](repeating: 0.25, count: kind.configuration.scores), kind.configuration).experts
    switch kind.configuration.selection {
    case .topOfEachGroup: #expect(found == [0, 4, 8, 12, 16, 20])
    default: #expect(found == Array(0..<found.count))
    }
    #expect(!found.isEmpty)
  }

  @Test(arguments: SelectionKind.perToken)
  func aRowOfMinusInfinitySelectsNothing(_ kind: SelectionKind) throws {
    let width = kind.configuration.scores
    var random = SeededRandom(seed: 5)
    let other = random.floats(width)
    let output = try router(kind.configuration).route(logits: other + [Float](repeating: -.infinity, count: width) + other)
    #expect(output.assignments(of: 1).isEmpty)
    #expect(output.nonFiniteTokens == 0)
    #expect(output.bits[0] == output.bits[2] && !output.bits[0].isEmpty)
  }

  @Test(arguments: SelectionKind.perToken)
  func onlyUnmaskedExpertsAreSelected(_ kind: SelectionKind) throws {
    let width = kind.configuration.scores
    var random = SeededRandom(seed: 6)
    for visible in [[3], [0, 23], [2, 9, 17]] {
      var logits = [Float](repeating: -.infinity, count: width)
      for expert in visible { logits[expert] = .random(in: -1...1, using: &random) }
      let found = try route(logits, kind.configuration)
      #expect(Set(found.experts).isSubset(of: visible) && !found.isEmpty)
      #expect(found.weights.allSatisfy { $0.isFinite && $0 >= 0 }, "\(found)")
    }
  }

  @Test func topKBeyondTheUnmaskedReturnsThem() throws {
    #expect(try route([-.infinity, 2, -.infinity, 1], .softmax(4, k: 4, norm: .init())).agrees([1: 0.731059, 3: 0.268941]))
  }

  @Test func equalProbabilitiesAfterRoundingAreTies() throws {
    // Both sigmoids round to 1.
    let record = RouterConfiguration(scores: 3, score: .sigmoid, selection: .topK(2))
    #expect(try route([40, 50, 60], record).experts == [0, 1])
  }

  @Test func groupTiesGoToTheLowerGroup() throws {
    let record = RouterConfiguration(
      scores: 8, score: .sigmoid, selection: .topK(2), groups: .init(count: 4, kept: 1, score: .topTwoSum))
    #expect(try route([0, 0, 1, 1, 1, 1, 0, 0], record).experts == [2, 3])
  }
}
