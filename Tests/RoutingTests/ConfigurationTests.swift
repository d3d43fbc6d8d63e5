// Records that contradict themselves, parameters of another length, precomputed assignments that do not fit.

import MoEReference
import MoERouting
import Testing

@Suite struct ConfigurationTests {
  private typealias Record = RouterConfiguration

  static let contradictions: [RouterConfiguration] = [
    .softmax(0, k: 1), .softmax(-3, k: 1), .softmax(4, k: 0), .softmax(4, k: -1), .softmax(4, k: 5),
    .init(scores: 4, experts: 5, score: .softmax, selection: .topK(2)),
    .init(scores: Int(Int32.max) + 1, score: .softmax, selection: .topK(2)),
    .init(scores: 4, score: .softmax, selection: .topP(0)), .init(scores: 4, score: .softmax, selection: .topP(.nan)),
    .init(scores: 4, score: .softmax, selection: .topOfEachGroup(0)), .init(scores: 4, score: .softmax, selection: .topOfEachGroup(3)),
    .init(scores: 4, score: .softmax, selection: .expertChoice(factor: 0)),
    .init(scores: 4, score: .softmax, selection: .expertChoice(factor: .infinity)),
    .init(scores: 1, score: .softmax, selection: .sparseMixer(epsilon: 0.01)),
    .init(scores: 4, score: .softmax, selection: .sparseMixer(epsilon: -1)),
    .init(scores: 4, score: .softmax, selection: .sparseMixer(epsilon: .nan)),
    .init(scores: 4, experts: 9, score: .identity, selection: .productKeys(keys: 2, k: 2)),
    .init(scores: 4, experts: 4, score: .identity, selection: .productKeys(keys: 2, k: 5)),
    .init(scores: 4, experts: 4, score: .identity, selection: .productKeys(keys: 2, k: 2), norm: .init(over: .all)),
    .init(scores: 4, score: .softmax, selection: .sparseMixer(epsilon: 0.01), norm: .init(over: .all)),
    .init(scores: 4, score: .softmax, selection: .topK(2), groups: .init(count: 3, kept: 1, score: .max)),
    .init(scores: 4, score: .softmax, selection: .topK(2), groups: .init(count: 0, kept: 0, score: .max)),
    .init(scores: 4, score: .softmax, selection: .topK(2), groups: .init(count: 2, kept: 3, score: .max)),
    .init(scores: 4, score: .softmax, selection: .topK(2), groups: .init(count: 2, kept: 0, score: .max)),
    .init(scores: 4, score: .softmax, selection: .topK(2), groups: .init(count: 4, kept: 2, score: .topTwoSum)),
    .init(scores: 4, score: .softmax, selection: .topK(2), capacity: .init(.assignments(0), order: .tokenMajor, perSequence: false)),
    .init(scores: 4, score: .softmax, selection: .topK(2), capacity: .init(.fraction(0), order: .tokenMajor, perSequence: false)),
    .init(scores: 4, score: .softmax, selection: .topK(2), capacity: .init(.fraction(.nan), order: .tokenMajor, perSequence: false)),
    .init(scores: 4, score: .softmax, selection: .topK(2), norm: .init(p: 0)),
    .init(scores: 4, score: .softmax, selection: .topK(2), norm: .init(p: .infinity)),
    .init(scores: 4, score: .softmax, selection: .topK(2), norm: .init(p: .nan)),
  ]

  @Test(arguments: contradictions.indices)
  func aContradictionIsNamed(_ index: Int) throws {
    let record = Self.contradictions[index]
    do {
      try record.validate()
      Issue.record("accepted \(record)")
    } catch {
      guard case .configuration(let reason) = error else { throw error }
      #expect(reason.contains { $0.isNumber } || reason.contains("nan") || reason.contains("inf"), "\(reason)")
    }
  }

  @Test func theValuesAtFaultAreNamed() {
    #expect(throws: RoutingError.configuration("top-k 5 of 4 experts")) { try RouterConfiguration.softmax(4, k: 5).validate() }
  }

  @Test func parametersHaveTheirLength() {
    let record = RouterConfiguration.softmax(4, k: 2), weight = [Float](repeating: 0, count: 12)
    #expect(throws: RoutingError.self) { try Router(record, weight: weight, hidden: 4) }
    #expect(throws: RoutingError.self) { try Router(record, weight: weight, hidden: 0) }
    #expect(throws: RoutingError.self) { try Router(record, weight: weight, hidden: 3, bias: [1]) }
    #expect(throws: RoutingError.shape("choice bias has 3 values, expected 4")) {
      try Router(record, weight: weight, hidden: 3, choiceBias: [1, 2, 3])
    }
    #expect(throws: Never.self) { try Router(record, weight: weight, hidden: 3, bias: f1, choiceBias: f1) }
  }

  @Test func aChoiceBiasNeedsASelectionThatReadsIt() {
    for selection in [RouterConfiguration.Selection.sparseMixer(epsilon: 0.01), .productKeys(keys: 2, k: 1)] {
      let record = RouterConfiguration(scores: 4, score: .identity, selection: selection)
      #expect(throws: RoutingError.self) { try Router(record, weight: f1, hidden: 1, choiceBias: f1) }
    }
  }

  @Test func inputIsWholeRows() throws {
    let router = try Router(.softmax(4, k: 2), weight: [Float](repeating: 1, count: 12), hidden: 3)
    #expect(throws: RoutingError.shape("5 logits are no rows of 4")) { try router.route(logits: [1, 2, 3, 4, 5]) }
    #expect(throws: RoutingError.shape("4 values are no rows of 3")) { try router([1, 2, 3, 4]) }
    #expect(throws: RoutingError.self) { try router.route(logits: f1 + f1, sequenceLengths: [1]) }
    #expect(throws: RoutingError.self) { try router.route(logits: f1 + f1, sequenceLengths: [3, -1]) }
    #expect(try router.route(logits: f1 + f1, sequenceLengths: [0, 2, 0]).tokens == 2)
  }

  @Test func logitsAreRowsTimesWeightsPlusBias() throws {
    let router = try Router(.softmax(2, k: 1), weight: [1, 2, 3, -1, 0.5, 4], hidden: 3, bias: [0.25, -8])
    #expect(try router.logits([1, 1, 1, 2, 0, -1]) == [6.25, -4.5, -0.75, -14])
    #expect(try router([1, 1, 1]) == router.route(logits: [6.25, -4.5]))
  }

  @Test func hugeFactorsMeanEverything() throws {
    let all = RouterConfiguration(scores: 2, score: .softmax, selection: .expertChoice(factor: .greatestFiniteMagnitude))
    #expect(try router(all).route(logits: [1, 0, 0, 1]).count == 4)
    let roomy = RouterConfiguration(
      scores: 2, score: .softmax, selection: .topK(2), capacity: .init(.fraction(1e300), order: .tokenMajor, perSequence: false))
    #expect(try router(roomy).route(logits: [1, 0, 0, 1]).droppedAssignments == 0)
  }

  @Test func expertChoiceNeverTakesMoreThanThereIs() throws {
    let record = RouterConfiguration(scores: 4, score: .softmax, selection: .expertChoice(factor: 2))
    for tokens in 1...9 {
      var random = SeededRandom(seed: UInt64(tokens))
      let output = try router(record).route(logits: random.floats(4 * tokens))
      var loads = [Int](repeating: 0, count: 4)
      for id in output.expertIDs { loads[Int(id)] += 1 }
      #expect(loads.allSatisfy { $0 == min(tokens, (2 * tokens + 3) / 4) })
    }
  }

  @Test func expertChoiceBiasesTheChoiceOnly() throws {
    let record = RouterConfiguration(scores: 2, score: .softmax, selection: .expertChoice(factor: 1))
    let output = try router(record, choiceBias: [0.5, 0]).route(logits: [2, 0, 1, 0, 0, 1, 3, 0])
    #expect(output.assignments(of: 3).agrees([0: 0.952574]))
    #expect(output.assignments(of: 0).agrees([0: 0.880797]))
  }

  @Test func expertChoiceNormalisesOverAll() throws {
    let record = RouterConfiguration(scores: 2, score: .sigmoid, selection: .expertChoice(factor: 1), norm: .init(over: .all))
    let output = try router(record).route(logits: [2, 0, 1, 0, 0, 1, 3, 0])
    #expect(output.assignments(of: 0).agrees([0: 0.637890, 1: 0.362110]))
  }

  @Test func expertChoiceWithCapacityServesBestTokens() throws {
    let record = RouterConfiguration(
      scores: 2, score: .softmax, selection: .expertChoice(factor: 1),
      capacity: .init(.assignments(1), order: .tokenMajor, perSequence: false, bestTokensFirst: true))
    let output = try router(record).route(logits: [2, 0, 1, 0, 0, 1, 3, 0])
    #expect(output.assignments(of: 3).experts == [0] && output.assignments(of: 0).isEmpty)
  }

  @Test func precomputedAssignmentsAreKept() throws {
    let ragged = try RouterOutput(experts: 5, offsets: [0, 2, 2, 3], expertIDs: [4, 0, 2], weights: [0.5, 0.25, 1])
    #expect(ragged.tokens == 3 && ragged.count == 3)
    #expect(ragged.assignments(of: 0).agrees([4: 0.5, 0: 0.25]) && ragged.assignments(of: 1).isEmpty)
    let square = try RouterOutput(experts: 5, topK: 2, expertIDs: [4, 0, 0, 4], weights: [1, 2, 3, 4])
    #expect(square.tokens == 2 && square.assignments(of: 1).agrees([0: 3, 4: 4]))
    #expect(try RouterOutput(experts: 5, topK: 2, expertIDs: [], weights: []).tokens == 0)
  }

  static let misfits: [(offsets: [Int], ids: [Int32], weights: Int, experts: Int)] = [
    ([], [], 0, 3), ([1, 2], [0, 1], 2, 3), ([0, 1], [0, 1], 2, 3), ([0, 2], [0, 1], 1, 3), ([0, 2, 1, 2], [0, 1], 2, 3),
    ([0, -1, 2], [0, 1], 2, 3), ([0, 2], [0, 1], 2, 0), ([0, 2], [0, 1], 2, -1), ([0, .max, 2], [0, 1], 2, 3),
  ]

  @Test(arguments: misfits.indices)
  func listsThatDoNotFitAreRefused(_ index: Int) throws {
    let case_ = Self.misfits[index]
    do {
      _ = try RouterOutput(
        experts: case_.experts, offsets: case_.offsets, expertIDs: case_.ids, weights: [Float](repeating: 1, count: case_.weights))
      Issue.record("accepted")
    } catch { guard case .shape = error else { throw error } }
  }

  @Test(arguments: [Int32(-1), 3, .max, .min, 1])
  func idsOutOfRangeOrTwiceAreNamed(_ id: Int32) {
    #expect(throws: RoutingError.assignment(token: 1, expert: Int(id), experts: 3)) {
      try RouterOutput(experts: 3, topK: 2, expertIDs: [0, 1, 1, id], weights: [1, 1, 1, 1])
    }
  }

  @Test func rowsOfAnotherLengthAreRefused() {
    #expect(throws: RoutingError.self) { try RouterOutput(experts: 3, topK: 2, expertIDs: [0, 1, 2], weights: [1, 1, 1]) }
    #expect(throws: RoutingError.self) { try RouterOutput(experts: 3, topK: 0, expertIDs: [], weights: []) }
    #expect(throws: RoutingError.self) { try RouterOutput(experts: 3, topK: -2, expertIDs: [0, 1], weights: [1, 1]) }
  }
}
