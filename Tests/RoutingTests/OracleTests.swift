// Two hundred thousand random rows against the naive router in double precision.
//
// Ids have to be equal. Weights may differ by 4 units in the last place of f32: one for the score, which both sides round once
// but from exponentials that differ in the last bit of a double, one for the final rounding, two to spare.

import MoEReference
import MoERouting
import Testing

@Suite struct OracleTests {
  /// A record and the same record in the oracle's words.
  struct Pair: Sendable, CustomTestStringConvertible {
    var name: String
    var configuration: RouterConfiguration
    var oracle: RouterOracle
    var rows: Int
    var testDescription: String { "\(name), \(configuration.scores) experts" }
  }

  static let pairs: [Pair] = {
    var all: [Pair] = []
    func add(_ name: String, _ configuration: RouterConfiguration, rows: Int, _ edit: (inout RouterOracle) -> Void = { _ in }) {
      let score: RouterOracle.Score =
        switch configuration.score {
        case .softmax: .softmax
        case .sigmoid: .sigmoid
        case .sqrtSoftplus: .sqrtSoftplus
        case .identity: .identity
        }
      let selection: RouterOracle.Selection =
        switch configuration.selection {
        case .topK(let k): .topK(k)
        case .topP(let p): .topP(p)
        case .topOfEachGroup(let groups): .topOfEachGroup(groups)
        case .sparseMixer(let epsilon): .sparseMixer(epsilon)
        default: .all
        }
      var oracle = RouterOracle(score, selection)
      switch configuration.weight {
      case .score: oracle.weight = .score
      case .softmaxOfSelected: oracle.weight = .softmaxOfSelected
      case .sigmoidOfSelected: oracle.weight = .sigmoidOfSelected
      case .one: oracle.weight = .one
      }
      if let groups = configuration.groups {
        oracle.groups = .init(count: groups.count, kept: groups.kept, topTwoSum: groups.score == .topTwoSum, fill: groups.fill)
      }
      if let norm = configuration.norm { oracle.norm = .init(p: norm.p, epsilon: norm.epsilon, minimum: norm.minimum, overAll: norm.over == .all) }
      oracle.scale = Double(configuration.scale)
      oracle.sanitizes = configuration.nonFinite == .sanitize
      edit(&oracle)
      all.append(Pair(name: name, configuration: configuration, oracle: oracle, rows: rows))
    }
    for (experts, ks) in [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (16, [1, 2, 4, 16]), (60, [4]), (128, [8])] {
      for k in ks {
        add("softmax \(k)", .softmax(experts, k: k), rows: 5000)
        add("softmax \(k), norm", .softmax(experts, k: k, norm: .init()), rows: 3000)
        add("sigmoid \(k)", .init(scores: experts, score: .sigmoid, selection: .topK(k), norm: .init(epsilon: 1e-20), scale: 2.5), rows: 3000)
      }
    }
    for experts in [255, 256, 257, 512, 1024] {
      for k in [1, 2, 8, 64] { add("softmax \(k)", .softmax(experts, k: k, norm: .init()), rows: 1200) }
      add("softmax \(experts)", .softmax(experts, k: experts), rows: 120)
      add("sigmoid 8", .init(scores: experts, score: .sigmoid, selection: .topK(8), norm: .init(epsilon: 1e-20)), rows: 1000)
      add("identity 6", .init(scores: experts, score: .identity, selection: .topK(6), weight: .softmaxOfSelected), rows: 1000)
    }
    add("sqrtsoftplus", .init(scores: 32, score: .sqrtSoftplus, selection: .topK(6), norm: .init(epsilon: 1e-20), scale: 1.5), rows: 8000)
    add("sigmoid of selected", .init(scores: 16, score: .identity, selection: .topK(2), weight: .sigmoidOfSelected), rows: 8000)
    add("one", .init(scores: 16, score: .softmax, selection: .topK(3), weight: .one), rows: 4000)
    add("2-norm", .init(scores: 16, score: .softmax, selection: .topK(4), norm: .init(p: 2)), rows: 6000)
    add("3-norm", .init(scores: 16, score: .softmax, selection: .topK(4), norm: .init(p: 3)), rows: 6000)
    add("norm over all", .init(scores: 16, score: .sigmoid, selection: .topK(4), norm: .init(over: .all)), rows: 6000)
    add("minimum", .init(scores: 16, score: .softmax, selection: .topK(2), norm: .init(minimum: 0.4)), rows: 6000)
    add("top-p", .init(scores: 16, score: .softmax, selection: .topP(0.6)), rows: 8000)
    add("top-p of all", .init(scores: 16, score: .softmax, selection: .topP(2)), rows: 3000)
    add("prototypes", .init(scores: 24, score: .softmax, selection: .topOfEachGroup(6)), rows: 6000)
    add("sparsemixer", .init(scores: 16, score: .softmax, selection: .sparseMixer(epsilon: 0.01)), rows: 8000)
    add("sparsemixer, wide", .init(scores: 16, score: .softmax, selection: .sparseMixer(epsilon: 0.3)), rows: 8000)
    add("all", .init(scores: 16, score: .sigmoid, selection: .all, norm: .init(over: .all)), rows: 4000)
    for fill in [-Float.infinity, 0] {
      add(
        "groups by max, fill \(fill)",
        .init(scores: 32, score: .softmax, selection: .topK(6), groups: .init(count: 8, kept: 3, score: .max, fill: fill)), rows: 6000)
    }
    var random = SeededRandom(seed: 21)
    let bias = random.floats(32, in: -0.3...0.3)
    add(
      "groups by two, bias",
      .init(
        scores: 32, score: .sigmoid, selection: .topK(6), groups: .init(count: 8, kept: 4, score: .topTwoSum), norm: .init(epsilon: 1e-20),
        scale: 2.5), rows: 10000
    ) { $0.choiceBias = bias }
    add("bias", .init(scores: 32, score: .softmax, selection: .topK(6), norm: .init(minimum: 1e-12)), rows: 8000) { $0.choiceBias = bias }
    for score in [RouterConfiguration.Score.softmax, .sigmoid] {
      add(
        "sanitize, \(score)", .init(scores: 16, score: score, selection: .topK(4), norm: .init(epsilon: 1e-20), nonFinite: .sanitize),
        rows: 6000)
    }
    return all
  }()

  /// Logits of one row: ordinary, tied, flat, extreme, denormal, masked, or no numbers at all.
  static func row(_ width: Int, _ random: inout SeededRandom) -> [Float] {
    switch Int.random(in: 0..<16, using: &random) {
    case 0: return (0..<width).map { _ in Float(Int.random(in: -2...2, using: &random)) }
    case 1: return [Float](repeating: .random(in: -5...5, using: &random), count: width)
    case 2: return random.floats(width, in: -100...100)
    case 3: return random.floats(width, in: -0x1p-130...0x1p-130)
    case 4: return random.floats(width).map { $0 < -1 ? -.infinity : $0 }
    case 5: return random.floats(width).map { $0 > 2.8 ? .nan : $0 }
    case 6: return random.floats(width).map { $0 > 2.8 ? .infinity : $0 < -2.5 ? .nan : $0 }
    case 7: return [Float](repeating: [.nan, .infinity, -.infinity, 0, -0.0, 3e38, -3e38].randomElement(using: &random)!, count: width)
    case 8: return random.floats(width, in: -1e-4...1e-4)
    default: return random.floats(width)
    }
  }

  @Test func thereAreTwoHundredThousandRows() {
    let rows = Self.pairs.reduce(0) { $0 + $1.rows }
    print("\(Self.pairs.count) routers, \(rows) rows, seed 7")
    #expect(rows >= 200_000)
  }

  @Test(arguments: pairs.indices)
  func agreesWithTheOracle(_ index: Int) throws {
    let pair = Self.pairs[index], width = pair.configuration.scores
    let router = try router(pair.configuration, choiceBias: pair.oracle.choiceBias)
    var random = SeededRandom(seed: 7 &+ UInt64(index) << 20), bad = 0
    let rows = (0..<pair.rows).map { _ in Self.row(width, &random) }
    let output = try router.route(logits: Array(rows.joined()))
    for (token, row) in rows.enumerated() {
      let found = output.assignments(of: token), expected = pair.oracle.route(row)
      let isRight =
        found.experts == expected.map(\.expert) && Set(found.experts).count == found.count && found.experts.allSatisfy((0..<width).contains)
        && zip(found.weights, expected).allSatisfy { Self.isClose($0, $1.weight) }
      if !isRight {
        bad += 1
        if bad <= 3 { Issue.record("\(pair.testDescription): row \(token) \(row.prefix(16)): \(found.prefix(8)), expected \(expected.prefix(8))") }
      }
    }
    #expect(bad == 0)
    #expect(output.nonFiniteTokens == rows.count { $0.contains { $0.isNaN || $0 == .infinity } })
  }

  static func isClose(_ found: Float, _ expected: Double) -> Bool {
    if expected.isNaN || found.isNaN { return expected.isNaN && found.isNaN }
    if abs(expected) > Double(Float.greatestFiniteMagnitude) { return !found.isFinite }
    return abs(Double(found) - expected) <= 4 * Double(Float(expected).ulp)
  }

  @Test(arguments: [1, 2, 7, 64, 300])
  func expertChoiceAgreesWithTheOracle(_ tokens: Int) throws {
    for (experts, factor) in [(1, Float(1)), (4, 1), (8, 2), (60, 4), (257, 2)] {
      var random = SeededRandom(seed: UInt64(tokens * 1000 + experts))
      let rows = (0..<tokens).map { _ in random.floats(experts) }
      let capacity = min(tokens, (tokens * Int(factor) + experts - 1) / experts)
      let output = try router(.init(scores: experts, score: .softmax, selection: .expertChoice(factor: factor))).route(logits: Array(rows.joined()))
      var expected = [[Int: Double]](repeating: [:], count: tokens)
      for (expert, taken) in expertChoice(rows, capacity: capacity).enumerated() { for (token, weight) in taken { expected[token][expert] = weight } }
      for token in 0..<tokens {
        let found = output.assignments(of: token)
        #expect(Set(found.experts) == Set(expected[token].keys) && found.count == expected[token].count)
        #expect(found.allSatisfy { Self.isClose($0.weight, expected[token][$0.expert] ?? .infinity) })
        #expect(zip(found, found.dropFirst()).allSatisfy { $0.weight >= $1.weight })
      }
    }
  }

  @Test(arguments: [RouterConfiguration.Capacity.Order.tokenMajor, .rankMajor])
  func capacityAgreesWithTheOracle(_ order: RouterConfiguration.Capacity.Order) throws {
    var random = SeededRandom(seed: 77)
    for trial in 0..<300 {
      let experts = Int.random(in: 1...9, using: &random), k = Int.random(in: 1...experts, using: &random)
      let tokens = Int.random(in: 0...40, using: &random), limit = Int.random(in: 1...12, using: &random)
      let logits = random.floats(experts * tokens), best = trial % 2 == 0
      var record = RouterConfiguration.softmax(experts, k: k)
      let free = try router(record).route(logits: logits)
      let chosen = (0..<tokens).map { free.assignments(of: $0) }
      let served = best ? (0..<tokens).sorted { (-chosen[$0][0].weight, $0) < (-chosen[$1][0].weight, $1) } : nil
      let kept = withinCapacity(chosen.map(\.experts), limit: limit, rankMajor: order == .rankMajor, order: served)
      record.capacity = .init(.assignments(limit), order: order, perSequence: false, bestTokensFirst: best)
      let output = try router(record).route(logits: logits)
      for token in 0..<tokens {
        let expected = zip(chosen[token], kept[token]).filter(\.1).map(\.0)
        let found = output.assignments(of: token)
        #expect(found.experts == expected.experts && found.weights == expected.weights)
      }
      #expect(output.droppedAssignments == free.count - output.count)
    }
  }

  @Test func productKeysAgreeWithTheOracle() throws {
    var random = SeededRandom(seed: 78)
    for (keys, k) in [(1, 1), (2, 4), (7, 9), (32, 64)] {
      let record = RouterConfiguration(
        scores: 2 * keys, experts: keys * keys, score: .identity, selection: .productKeys(keys: keys, k: k), weight: .softmaxOfSelected)
      for tokens in [1, 3, 20] {
        let logits = random.floats(2 * keys * tokens)
        let output = try router(record).route(logits: logits)
        for token in 0..<tokens {
          // The halves are read across tokens: the first of all tokens, then the second.
          func half(_ index: Int) -> [Float] { Array(logits[(index * tokens + token) * keys..<(index * tokens + token + 1) * keys]) }
          let expected = productKeys(half(0), half(1), k: k), found = output.assignments(of: token)
          #expect(found.experts == expected.map(\.expert))
          #expect(zip(found.weights, expected).allSatisfy { Self.isClose($0, $1.weight) })
        }
      }
    }
  }
}
