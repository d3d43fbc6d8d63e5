// NaN and infinite logits under the three policies.

import MoEReference
import MoERouting
import Testing

@Suite struct NonFiniteTests {
  private func with(_ policy: RouterConfiguration.NonFinite, _ kind: SelectionKind) -> RouterConfiguration {
    var record = kind.configuration
    record.nonFinite = policy
    return record
  }

  /// Rows that hold something that is no number.
  private func badRows(_ width: Int) -> [[Float]] {
    var random = SeededRandom(seed: 99)
    var rows = [
      [Float](repeating: .nan, count: width), [Float](repeating: .infinity, count: width),
      (0..<width).map { $0 % 2 == 0 ? .nan : .infinity }, (0..<width).map { $0 % 2 == 0 ? .nan : -.infinity },
    ]
    for value in [Float.nan, -.nan, .infinity, Float(bitPattern: 0x7F80_0001)] {
      var row = random.floats(width)
      row[Int.random(in: 0..<width, using: &random)] = value
      rows.append(row)
    }
    return rows
  }

  @Test(arguments: SelectionKind.perToken)
  func propagateKeepsTheDamageInItsToken(_ kind: SelectionKind) throws {
    let width = kind.configuration.scores
    var random = SeededRandom(seed: 1)
    let before = random.floats(3 * width), after = random.floats(2 * width)
    let router = try router(with(.propagate, kind)), clean = try router.route(logits: before + after).bits
    for bad in badRows(width) {
      let output = try router.route(logits: before + bad + after)
      #expect(output.nonFiniteTokens == 1)
      let lost = output.assignments(of: 3)
      #expect(!lost.isEmpty && Set(lost.experts).count == lost.count)
      #expect(lost.experts.allSatisfy((0..<width).contains) && lost.weights.allSatisfy(\.isNaN))
      #expect(Array(output.bits[..<3] + output.bits[4...]) == clean)
    }
  }

  @Test(arguments: SelectionKind.all)
  func noPolicyTraps(_ kind: SelectionKind) throws {
    let width = kind.configuration.scores
    for policy in [RouterConfiguration.NonFinite.propagate, .sanitize] {
      for count in [1, 2, 5] {
        let rows = badRows(width).flatMap { row in Array(repeatElement(row, count: count).joined()) }
        let output = try router(with(policy, kind)).route(logits: rows)
        for token in 0..<output.tokens {
          let found = output.assignments(of: token)
          #expect(Set(found.experts).count == found.count && found.experts.allSatisfy((0..<kind.configuration.experts).contains))
          if policy == .sanitize { #expect(found.weights.allSatisfy { $0.isFinite }, "\(kind.name) \(found)") }
        }
      }
    }
  }

  @Test func propagateRanksNaNLast() throws {
    #expect(try route([.nan, 1, 2, .infinity], .softmax(4, k: 4)).experts == [3, 2, 1, 0])
    #expect(try route([.nan, -.infinity, 2, 3], .softmax(4, k: 3)).experts == [3, 2, 1])
    #expect(try route([.nan, .nan, .nan, .nan], .softmax(4, k: 2)).experts == [0, 1])
  }

  @Test func sanitizeTreatsNaNAsMasked() throws {
    var record = RouterConfiguration.softmax(4, k: 3, norm: .init())
    record.nonFinite = .sanitize
    let output = try router(record).route(logits: [.nan, 2, -.nan, 1] + [Float](repeating: .nan, count: 4))
    #expect(output.assignments(of: 0).agrees([1: 0.731059, 3: 0.268941]))
    #expect(output.assignments(of: 1).isEmpty)
    #expect(output.nonFiniteTokens == 2)
  }

  @Test(arguments: [RouterConfiguration.Score.softmax, .sigmoid, .sqrtSoftplus, .identity])
  func sanitizeSharesAllAmongTheInfinite(_ score: RouterConfiguration.Score) throws {
    let weight = score == .identity ? RouterConfiguration.Weight.softmaxOfSelected : .score
    let record = RouterConfiguration(scores: 4, score: score, selection: .topK(2), weight: weight, norm: .init(), nonFinite: .sanitize)
    #expect(try route([.infinity, 5, .nan, .infinity], record).agrees([0: 0.5, 3: 0.5]))
  }

  @Test func sanitizeGivesAnInfiniteLogitTheFullSigmoid() throws {
    let record = RouterConfiguration(scores: 3, score: .identity, selection: .topK(1), weight: .sigmoidOfSelected, nonFinite: .sanitize)
    #expect(try route([0, .infinity, 7], record).agrees([1: 1]))
  }

  @Test func sanitizeSaturatesEachHalfOfProductKeys() throws {
    let record = RouterConfiguration(
      scores: 4, experts: 4, score: .identity, selection: .productKeys(keys: 2, k: 2), weight: .softmaxOfSelected, nonFinite: .sanitize)
    #expect(try route([0, .infinity, 1, 0], record).agrees([2: 0.5, 3: 0.5]))
  }

  @Test func throwErrorNamesTokenAndExpert() throws {
    var record = RouterConfiguration.softmax(4, k: 2)
    record.nonFinite = .throwError
    let router = try router(record)
    #expect(throws: RoutingError.nonFiniteLogit(token: 1, expert: 2, value: .infinity)) {
      try router.route(logits: f1 + [0, 1, .infinity, .nan] + f1)
    }
    do {
      _ = try router.route(logits: f1 + f1 + [0, 1, 0, .nan])
      Issue.record("no error")
    } catch { #expect("\(error)" == "token 2 has logit nan for expert 3") }
    #expect(try router.route(logits: f1 + [-.infinity, 1, 0, 0]).tokens == 2)
  }

  @Test func bestTokensFirstIsNotMisledByANaN() throws {
    for policy in [RouterConfiguration.NonFinite.propagate, .sanitize] {
      let record = RouterConfiguration(
        scores: 2, score: .softmax, selection: .topK(1),
        capacity: .init(.assignments(1), order: .rankMajor, perSequence: false, bestTokensFirst: true), nonFinite: policy)
      // The last token has the largest probability of expert 0 and takes the only place, whatever lies between.
      for bad in [[Float.nan, .nan], [Float.nan, 1]] {
        let output = try router(record).route(logits: [1, 0] + bad + [2, 0] + bad + [3, 0])
        #expect(output.assignments(of: 4).experts == [0])
        #expect(output.assignments(of: 0).isEmpty && output.assignments(of: 2).isEmpty)
      }
    }
  }
}
