// Expert choice: every expert takes its best tokens (arXiv 2202.09368).

internal import CMoEKernels
internal import MoETensors

extension Router {
  /// Expert e takes the C best of column e, C = ceil(tokens * factor / experts), at most all; a token may get any number of experts,
  /// listed by descending score. Depends on the whole batch by definition.
  func selectByExperts(
    _ logits: [Float], tokens: Int, factor: Float, into choices: inout Choices, _ scratch: inout SelectionScratch
  ) throws(RoutingError) {
    let experts = configuration.scores
    var columns = [Float](repeating: 0, count: experts * tokens)
    var chosen = [[(score: Float, expert: Int32)]](repeating: [], count: tokens)
    for token in 0..<tokens {
      for expert in 0..<experts { scratch.logits[expert] = logits[token * experts + expert] }
      let finite = try settle(token, &scratch)
      if !finite { choices.output.nonFiniteTokens += 1 }
      scoreAndLimit(&scratch)
      let lost = !finite && configuration.nonFinite == .propagate
      for expert in 0..<experts { columns[expert * tokens + token] = lost ? .nan : scratch.choice[expert] }
      if lost { chosen[token] = [(.nan, 0)] }
    }
    let capacity = Int(min(Double(tokens), (Double(tokens) * Double(factor) / Double(experts)).rounded(.up)))
    var ids = [Int32](repeating: 0, count: max(capacity, 1))
    for expert in 0..<experts {
      let column = Array(columns[expert * tokens..<(expert + 1) * tokens])
      let count = Int(kernels.row.pointee.topk(column, Int64(tokens), Int64(capacity), &ids))
      for token in ids[..<count] { chosen[Int(token)].append((column[Int(token)], Int32(expert))) }
    }
    for token in 0..<tokens {
      let ranked = chosen[token].sorted { ($1.score, $0.expert) < ($0.score, $1.expert) }
      choices.output.append(ranked.lazy.map(\.expert), weights: ranked.lazy.map(\.score))
    }
  }
}
