// The published routers on logits worked out by hand, in double precision and to six digits.

import MoERouting
import Testing

@Suite struct WorkedExampleTests {
  private typealias Record = RouterConfiguration

  @Test func switchTakesTheBestWithItsProbability() throws {
    #expect(try route(f1, .softmax(4, k: 1)).agrees([0: 0.609460]))
  }

  @Test func switchDropsBeyondCapacityInOrderOfTokens() throws {
    let record = Record(
      scores: 2, score: .softmax, selection: .topK(1), capacity: .init(.assignments(2), order: .tokenMajor, perSequence: true))
    let output = try router(record).route(logits: [1, 0, 1, 0, 1, 0, 0, 1, 1, 0])
    #expect((0..<5).map { output.assignments(of: $0).experts } == [[0], [0], [], [1], []])
    #expect(output.droppedAssignments == 2)
    let halves = try router(record).route(logits: [1, 0, 1, 0, 1, 0, 0, 1, 1, 0], sequenceLengths: [2, 3])
    #expect((0..<5).map { halves.assignments(of: $0).experts } == [[0], [0], [0], [1], [0]])
    #expect(halves.droppedAssignments == 0)
  }

  @Test func gshardNormalisesTheBestTwo() throws {
    #expect(try route(f1, .softmax(4, k: 2, norm: .init())).agrees([0: 0.731059, 1: 0.268941]))
  }

  @Test func gshardPlacesFirstChoicesFirst() throws {
    // Tokens 0 and 1 prefer 0 then 1, token 2 prefers 1 then 0; two places an expert.
    let logits: [Float] = [2, 1, 2, 1, 1, 2]
    func served(_ order: RouterConfiguration.Capacity.Order) throws -> [[Int]] {
      let record = Record(scores: 2, score: .softmax, selection: .topK(2), capacity: .init(.assignments(2), order: order, perSequence: false))
      let output = try router(record).route(logits: logits)
      return (0..<3).map { output.assignments(of: $0).experts }
    }
    #expect(try served(.tokenMajor) == [[0, 1], [0, 1], []])
    #expect(try served(.rankMajor) == [[0, 1], [0], [1]])
  }

  @Test(arguments: [false, true])
  func qwenNormalisesByItsFlag(norm: Bool) throws {
    let found = try route(f1, .softmax(4, k: 2, norm: norm ? .init() : nil))
    #expect(norm ? found.agrees([0: 0.731059, 1: 0.268941]) : found.agrees([0: 0.609460, 1: 0.224208]))
  }

  @Test func granitesSoftmaxOfSelectedIsMixtralsNorm() throws {
    let record = Record(scores: 4, score: .identity, selection: .topK(2), weight: .softmaxOfSelected)
    #expect(try route(f1, record).agrees([0: 0.731059, 1: 0.268941]))
  }

  @Test func flexOlmoRemovesAnExpertByMasking() throws {
    let p: [Float] = [1, 0.7, 1.1]
    #expect(try route(p, .softmax(3, k: 3)).agrees([2: 0.388326, 0: 0.351372, 1: 0.260303]))
    let masked = try route([1, -.infinity, 1.1], .softmax(3, k: 2, norm: .init()))
    let without = try route([1, 1.1], .softmax(2, k: 2, norm: .init()))
    #expect(masked.experts == [2, 0] && without.experts == [1, 0] && masked.weights == without.weights)
  }

  @Test func dbrxDividesByANormOfAnyOrder() throws {
    func weights(_ p: Double) throws -> [Float] { try route(f1, .softmax(4, k: 2, norm: .init(p: p))).weights }
    #expect(abs(try weights(1).reduce(0, +) - 1) < 1e-6)
    #expect(abs(try weights(2).reduce(0) { $0 + $1 * $1 } - 1) < 1e-6)
    #expect(abs(try weights(3).reduce(0) { $0 + $1 * $1 * $1 } - 1) < 1e-6)
    #expect(abs(Double(try weights(2)[0]) - 0.938508) < 1e-6)
  }

  @Test func ernieBiasesProbabilitiesForTheChoiceOnly() throws {
    let found = try route([1, 0.9, 0, -1], .softmax(4, k: 2, norm: .init(minimum: 1e-12)), choiceBias: [0, 0, 0.5, 0])
    #expect(found.agrees([2: 0.268941, 0: 0.731059]))
  }

  @Test func hunyuanServesFirstRanksFirstAndKeepsWeights() throws {
    let record = Record(
      scores: 4, score: .softmax, selection: .topK(2),
      capacity: .init(.assignments(2), order: .rankMajor, perSequence: false, normBeforeDropping: true),
      norm: .init(minimum: Double(Float.ulpOfOne)))
    let output = try router(record).route(logits: (0..<4).flatMap { _ in f1 })
    #expect((0..<4).map { output.assignments(of: $0).experts } == [[0, 1], [0, 1], [], []])
    #expect(output.assignments(of: 0).agrees([0: 0.731059, 1: 0.268941]))
    #expect(output.droppedAssignments == 4)
  }

  @Test func normBeforeOrAfterDropping() throws {
    func second(_ before: Bool) throws -> [(expert: Int, weight: Float)] {
      let record = Record(
        scores: 2, score: .softmax, selection: .topK(2),
        capacity: .init(.assignments(1), order: .rankMajor, perSequence: false, normBeforeDropping: before), norm: .init())
      return try router(record).route(logits: [1, 0, 0, 1]).assignments(of: 0)
    }
    #expect(try second(true).agrees([0: 0.731059]))
    #expect(try second(false).agrees([0: 1]))
  }

  @Test func longcatScalesRealAndIdentityExpertsAlike() throws {
    let record = Record(scores: 3, score: .softmax, selection: .topK(2), scale: 6)
    let found = try route([1, 0, 0.5], record)
    #expect(found.experts == [0, 2])
    #expect(abs(found.weights[0] - 3.038882) < 2e-6 && abs(found.weights[1] - 1.843175) < 2e-6)
  }

  @Test func deepseekV2KeepsGroupsByTheirBest() throws {
    let record = Record(
      scores: 8, score: .softmax, selection: .topK(2), groups: .init(count: 4, kept: 2, score: .max, fill: 0), scale: 16)
    let found = try route(grouped, record)
    #expect(found.experts == [0, 2])
    #expect(abs(found.weights[0] - 16 * 0.473055) < 2e-5 && abs(found.weights[1] - 16 * 0.174027) < 2e-5)
  }

  private func v3(k: Int, groups: Int = 4, kept: Int = 2, fill: Float = -.infinity, rule: RouterConfiguration.Groups.Score = .topTwoSum) -> Record {
    Record(
      scores: 8, score: .sigmoid, selection: .topK(k), groups: .init(count: groups, kept: kept, score: rule, fill: fill),
      norm: .init(epsilon: 1e-20), scale: 2.5)
  }

  @Test func deepseekV3KeepsGroupsByTheirBestTwo() throws {
    #expect(try route(grouped, v3(k: 2)).agrees([2: 1.267431, 3: 1.232569]))
    #expect(try route(grouped, v3(k: 2, rule: .max)).experts == [0, 2])
  }

  @Test func deepseekV3BiasNeverEntersTheWeight() throws {
    let found = try route(grouped, v3(k: 2), choiceBias: [0, 0, 0, 0, 0.5, 0.5, 0, 0])
    #expect(found.agrees([4: 1.278906, 5: 1.221094]))
  }

  @Test func deepseekV3RemovesGroupsByMinusInfinity() throws {
    let bias = [Float](repeating: -0.95, count: 8)
    #expect(try route(grouped, v3(k: 3), choiceBias: bias).agrees([2: 0.917566, 3: 0.892327, 4: 0.690107]))
    #expect(Set(try route(grouped, v3(k: 3, fill: 0), choiceBias: bias).experts) == [0, 1, 6])
  }

  @Test func kimiHasOneGroup() throws {
    #expect(try route(grouped, v3(k: 2, groups: 1, kept: 1)).agrees([0: 1.366123, 2: 1.133877]))
  }

  @Test func sparsemixerMasksByARelativeThreshold() throws {
    let record = Record(scores: 4, score: .softmax, selection: .sparseMixer(epsilon: 0.01))
    #expect(try route(f1, record).agrees([0: 1, 1: 1]))
    #expect(try route([1, 0.99, 0.5, -2], record).agrees([0: 0.502500, 1: 1]))
    #expect(try route([1, 0.99, 0.985, -2], record).agrees([0: 0.336116, 1: 0.501250]))
    #expect(try route([-1, -1.01, -3, -4], record).agrees([0: 0.502500, 1: 1]))
  }

  @Test func expertChoiceFillsEveryExpert() throws {
    let record = Record(scores: 2, score: .softmax, selection: .expertChoice(factor: 1))
    let output = try router(record).route(logits: [2, 0, 1, 0, 0, 1, 3, 0])
    #expect(output.assignments(of: 0).agrees([0: 0.880797]))
    #expect(output.assignments(of: 1).agrees([1: 0.268941]))
    #expect(output.assignments(of: 2).agrees([1: 0.731059]))
    #expect(output.assignments(of: 3).agrees([0: 0.952574]))
  }

  @Test func topPTakesTheCrossingExpert() throws {
    func experts(_ logits: [Float], _ threshold: Float) throws -> [Int] {
      try route(logits, Record(scores: logits.count, score: .softmax, selection: .topP(threshold))).experts
    }
    #expect(try experts(f1, 0.4) == [0])
    #expect(try experts(f1, 0.7) == [0, 1])
    #expect(try experts(f1, 0.9) == [0, 1, 2])
    #expect(try experts([0, 0], 0.5) == [0, 1])
    #expect(try experts(f1, 1) == [0, 1, 2, 3])
    #expect(try experts(f1, 7) == [0, 1, 2, 3])
    #expect(try route(f1, Record(scores: 4, score: .softmax, selection: .topP(0.7))).agrees([0: 0.609460, 1: 0.224208]))
  }

  @Test func prototypesGiveOneExpertEach() throws {
    let record = Record(scores: 4, score: .softmax, selection: .topOfEachGroup(2))
    #expect(try route(f1, record).agrees([0: 0.731059, 2: 0.817574]))
  }

  @Test func normalisedSigmoidOverAllOrSelected() throws {
    func record(_ over: RouterConfiguration.Norm.Over, _ selection: RouterConfiguration.Selection) -> Record {
      Record(scores: 4, score: .sigmoid, selection: selection, norm: .init(over: over))
    }
    #expect(try route(f1, record(.all, .all)).agrees([0: 0.351861, 1: 0.292043, 2: 0.248660, 3: 0.107437]))
    #expect(try route(f1, record(.all, .topK(2))).agrees([0: 0.351861, 1: 0.292043]))
    #expect(try route(f1, record(.selected, .topK(2))).agrees([0: 0.546449, 1: 0.453551]))
  }

  @Test func aMaskLeavesTheVisibleExperts() throws {
    let hidden = -Float.infinity
    #expect(try route([hidden, hidden, 0.5, hidden], .softmax(4, k: 1)).agrees([2: 1]))
  }

  @Test func productKeysAddTheScoresOfBothHalves() throws {
    let record = Record(scores: 4, experts: 4, score: .identity, selection: .productKeys(keys: 2, k: 2), weight: .softmaxOfSelected)
    // Halves [1, 0] and [0.5, 2]: sums 1.5, 3, 0.5, 2.
    #expect(try route([1, 0, 0.5, 2], record).agrees([1: 0.731059, 3: 0.268941]))
  }

  @Test func llamaFourWeighsBySigmoid() throws {
    let record = Record(scores: 4, score: .identity, selection: .topK(1), weight: .sigmoidOfSelected)
    #expect(try route([0.5, 0.1, -1, 0], record).agrees([0: 0.622459]))
  }

  @Test func deepseekV4ScoresBySqrtSoftplus() throws {
    let record = Record(scores: 4, score: .sqrtSoftplus, selection: .topK(2))
    #expect(try route(f1, record).agrees([0: 1.458399, 1: 1.145976]))
  }
}
