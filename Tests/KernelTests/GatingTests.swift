// Router logits, scores, top-k and group limits: naive oracles, and the same bits from every table.

import CMoEKernels
import MoEReference
import MoETensors
import Testing

@Suite struct GatingTests {
  /// Bits, any NaN being equal to any other.
  private func bits(_ values: some Sequence<Float>) -> [UInt32] { values.map { $0.isNaN ? 0x7fc0_0000 : $0.bitPattern } }

  @Test func logitsAreDoubleSumsRoundedOnce() {
    var random = SeededRandom(seed: 34)
    for (experts, hidden) in [(1, 1), (2, 3), (3, 7), (4, 8), (5, 9), (6, 64), (8, 15), (16, 33), (60, 257), (7, 1031)] {
      for tokens in 0...14 {
        for (gap, useBias) in [(0, false), (3, true)] {
          let stride = hidden + gap, w = random.floats(experts * hidden), bias = random.floats(experts)
          var x = [Float](repeating: .nan, count: max(0, tokens * stride - gap))
          for token in 0..<tokens { x.replaceSubrange(token * stride..<token * stride + hidden, with: random.floats(hidden)) }
          let dense = (0..<tokens).flatMap { x[$0 * stride..<$0 * stride + hidden] }
          let expected = naiveProduct(w, rows: experts, columns: hidden, dense).enumerated().map { $1 + (useBias ? Double(bias[$0 % experts]) : 0) }
          let alone = logits(KernelTable.runnable.last!, dense, w, useBias ? bias : nil, hidden, each: 1)
          #expect(zip(alone, expected).allSatisfy { abs(Double($0) - $1) <= Double(Float($1).ulp) * 0.5001 + 1e-14 })
          for table in KernelTable.runnable {
            let width = experts + gap
            var all = [Float](repeating: -1234.5, count: tokens * width + 1)
            table.row.pointee.router_logits(x, Int64(stride), Int64(tokens), w, useBias ? bias : nil, Int64(experts), Int64(hidden), &all, Int64(width))
            let found = (0..<tokens).flatMap { all[$0 * width..<$0 * width + experts] }
            #expect(found == alone, "\(table) \(tokens) x \(hidden) x \(experts)")
            #expect(all.count { $0 == -1234.5 } == tokens * gap + 1, "\(table) wrote beside its logits")
          }
        }
      }
    }
  }

  /// Logits of dense rows, `each` rows a call.
  private func logits(_ table: KernelTable, _ x: [Float], _ w: [Float], _ bias: [Float]?, _ hidden: Int, each: Int) -> [Float] {
    stride(from: 0, to: x.count / hidden, by: each).flatMap { first in
      var out = [Float](repeating: .nan, count: each * w.count / hidden)
      let rows = Array(x[first * hidden..<(first + each) * hidden])
      table.row.pointee.router_logits(rows, Int64(hidden), Int64(each), w, bias, Int64(w.count / hidden), Int64(hidden), &out, Int64(w.count / hidden))
      return out
    }
  }

  static let kinds: [(moe_score, RouterOracle.Score)] = [
    (MOE_SCORE_SOFTMAX, .softmax), (MOE_SCORE_SIGMOID, .sigmoid), (MOE_SCORE_SQRTSOFTPLUS, .sqrtSoftplus), (MOE_SCORE_IDENTITY, .identity),
  ]

  private func scores(_ table: KernelTable, _ kind: moe_score, _ logits: [Float]) -> [Float] {
    var scores = [Float](repeating: .nan, count: logits.count)
    table.row.pointee.router_scores(kind, logits, Int64(logits.count), &scores)
    return scores
  }

  @Test(arguments: kinds.indices)
  func scoresAreRoundedOnce(_ index: Int) {
    let (kind, oracle) = Self.kinds[index]
    var random = SeededRandom(seed: 35)
    for count in Array(1...17) + [60, 127, 128, 257, 511, 512, 513, 1030] {
      for range in [Float(0.001), 3, 80, 3000] {
        let logits = random.floats(count, in: -range...range), expected = naiveScores(oracle, logits)
        let all = KernelTable.runnable.map { scores($0, kind, logits) }
        #expect(zip(all[0], expected).allSatisfy { abs(Double($0) - $1) <= 0.5001 * Double(Float($1).ulp) }, "\(oracle) of \(count) in \(range)")
        #expect(all.allSatisfy { bits($0) == bits(all[0]) })
      }
    }
  }

  @Test func scoresOfSpecialLogits() {
    let awkward: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 0x1p-149, -0x1p-149, 0x1p-126, 709.5, 710, -745, -746, 88.7, -103.9, 1e38, -1e38]
    for (kind, oracle) in Self.kinds {
      for count in [1, 2, 7, 8, 9, 16] {
        for start in awkward.indices {
          let logits = (0..<count).map { awkward[(start + $0) % awkward.count] }
          let all = KernelTable.runnable.map { scores($0, kind, logits) }
          #expect(all.allSatisfy { bits($0) == bits(all[0]) }, "\(oracle) of \(logits)")
          guard oracle != .softmax else { continue }
          for (logit, score) in zip(logits, all[0]) {
            #expect(logit.isNaN == score.isNaN)
            if logit.isInfinite { #expect(score == (logit < 0 ? oracle == .identity ? logit : 0 : oracle == .sigmoid ? 1 : logit), "\(oracle) of \(logit)") }
          }
        }
      }
    }
    for table in KernelTable.runnable {
      #expect(scores(table, MOE_SCORE_SOFTMAX, [-.infinity, 1, -.infinity, 1]) == [0, 0.5, 0, 0.5])
      let lost = scores(table, MOE_SCORE_SOFTMAX, [1, .nan, 2])
      #expect(lost.allSatisfy { $0.isNaN })
      #expect(scores(table, MOE_SCORE_SOFTMAX, [0, -103.5])[1] > 0)
    }
  }

  static let styles = 12

  /// Scores of one style: spread, few values, mixed with NaN and infinities, zeros of both signs, sorted, equal, denormal, any bits.
  private func values(_ count: Int, _ style: Int, _ random: inout SeededRandom) -> [Float] {
    (0..<count).map { index in
      switch style {
      case 0: .random(in: -1...1, using: &random)
      case 1: Float(Int.random(in: 0...3, using: &random))
      case 2: index % 3 == 0 ? .nan : index % 3 == 1 ? -.infinity : .random(in: -1...1, using: &random)
      case 3: index % 5 == 0 ? .infinity : -0.0
      case 4: index % 2 == 0 ? 0 : -0.0
      case 5: Float(index)
      case 6: Float(-index)
      case 7: 1
      case 8: Float(bitPattern: UInt32.random(in: 0...(.max), using: &random))
      case 9: Float(Int.random(in: -4...4, using: &random)) * 0x1p-149
      case 10: .nan
      default: index % 7 == 3 ? -.greatestFiniteMagnitude : -.infinity
      }
    }
  }

  @Test func topKIsTheSameEverywhere() {
    var random = SeededRandom(seed: 36), cells = 0
    let counts = Array(0...10) + [15, 16, 17, 31, 32, 33, 60, 63, 64, 65, 100, 127, 128, 129, 160, 255, 256, 257, 511, 512, 513, 1025, 2500]
    for count in Sweep.some(counts, every: 3) {
      for style in 0..<Self.styles {
        let scores = values(count, style, &random), order = naiveTopK(scores, count)
        for k in Set([0, 1, 2, 6, 8, 10, 15, 16, 17, 31, 32, 33, 64, count / 2, max(0, count - 1), count, count + 3]) {
          for table in KernelTable.runnable {
            cells += 1
            var ids = [Int32](repeating: -7, count: k + 2)
            let found = Int(table.row.pointee.topk(scores, Int64(count), Int64(k), &ids))
            let isRight = found == min(k, order.count) && ids[..<found].map(Int.init) == Array(order.prefix(k)) && ids[k...] == [-7, -7]
            if !isRight { Issue.record("\(table), style \(style), \(k) of \(count): \(ids[..<found])") }
          }
        }
      }
    }
    print("\(cells) cells of top-k")
  }

  @Test(arguments: KernelTable.runnable)
  func topKOfAMillion(_ table: KernelTable) {
    var random = SeededRandom(seed: 38)
    let count = 1_000_003, spread = random.floats(count)
    for scores in [spread, spread.indices.map { Float($0 / 3) }, spread.map { ($0 * 4).rounded() }] {
      let order = naiveTopK(scores, 100)
      for k in [1, 8, 32, 100] {
        var ids = [Int32](repeating: -7, count: k)
        #expect(table.row.pointee.topk(scores, Int64(count), Int64(k), &ids) == k)
        #expect(ids.map(Int.init) == Array(order[..<k]))
      }
    }
  }

  @Test func groupLimitsAreTheirDefinition() {
    var random = SeededRandom(seed: 39)
    for (groups, width) in [(1, 1), (2, 2), (3, 7), (4, 8), (8, 32), (8, 20), (5, 9), (16, 17), (40, 2), (300, 3)] {
      for kept in Set([1, 2, groups / 2, groups]).filter({ $0 > 0 && $0 <= groups }) {
        for style in 0..<Self.styles {
          for (kind, fill) in [(MOE_GROUP_MAX, Float(0)), (MOE_GROUP_MAX, -.infinity), (MOE_GROUP_TOP_TWO_SUM, 0), (MOE_GROUP_TOP_TWO_SUM, -.infinity)] {
            let choice = values(groups * width, style, &random), scores = random.floats(groups * width)
            let best = (0..<groups).map { group -> Float in
              let order = naiveTopK(Array(choice[group * width..<(group + 1) * width]), 2).map { choice[group * width + $0] }
              if kind == MOE_GROUP_MAX { return order.first ?? -.infinity }
              return order.count == 2 ? order[0] + order[1] : (order.first ?? -.infinity) + -.infinity
            }
            let inside = Set(naiveTopK(best, kept))
            let expected = choice.indices.map { inside.contains($0 / width) ? choice[$0] : fill }
            let weights = scores.indices.map { inside.contains($0 / width) || fill == -.infinity ? scores[$0] : fill }
            for table in KernelTable.runnable {
              var limited = choice, left = scores, scratch = [Float](repeating: .nan, count: groups), ids = [Int32](repeating: -7, count: groups)
              table.row.pointee.limit_groups(kind, Int64(groups), Int64(kept), fill, Int64(groups * width), &limited, &left, &scratch, &ids)
              #expect(bits(limited) == bits(expected) && left == weights, "\(table), \(kept) of \(groups) groups of \(width), style \(style)")
            }
          }
        }
      }
    }
  }
}
