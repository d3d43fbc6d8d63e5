// Selection: from the logits of a token to its experts.

package import CMoEKernels
internal import MoETensors

extension Router {
  /// Selects for one token from the logits of the batch; tokens may be selected on several workers at once.
  package func select(_ token: Int, worker: Int, in choices: Choices) {
    var scratch = choices.scratch(of: token, worker: worker)
    if case .productKeys = configuration.selection {
      for score in 0..<configuration.scores { scratch.spare[score] = choices.logits[logitIndex(token, score, tokens: choices.tokens)] }
      scratch.logits = scratch.spare
    }
    let isFinite = settle(token, scratch, in: choices), isLost = !isFinite && configuration.nonFinite != .sanitize
    if case .expertChoice = configuration.selection {
      scoreAndLimit(scratch)
      offer(token, isLost: isLost, scratch, in: choices)
    } else {
      choices.counts[token] = Int32(isLost ? selectUnordered(scratch) : selectOne(scratch))
    }
    // What capacity and norm will want to know of the token's scores; a lost token has none.
    let scores = UnsafeBufferPointer(start: scratch.scores, count: configuration.scores)
    if configuration.capacity?.bestTokensFirst == true {
      choices.bestScores[token] = isLost ? -.infinity : scores.reduce(-.infinity) { $1 > $0 ? $1 : $0 }
    }
    if let norm = configuration.norm, norm.over == .all { choices.fullNorms[token] = isLost ? .nan : norm.of(scores) }
  }

  /// Notes NaN and +inf among the logits, and replaces them where the policy says so; false when there were any.
  private func settle(_ token: Int, _ scratch: TokenScratch, in choices: Choices) -> Bool {
    let count = configuration.scores, logits = UnsafeMutableBufferPointer(start: scratch.logits, count: count)
    let bad = logits.firstIndex { $0.isNaN || $0 == .infinity }
    choices.nonFinite[token] = Int32(bad ?? -1)
    guard bad != nil else { return true }
    guard configuration.nonFinite == .sanitize else { return false }
    // Sums over experts, or over both halves of product keys, stay finite with 2^126 for infinity; a sigmoid takes infinity itself.
    let width = if case .productKeys(let keys, _) = configuration.selection { keys } else { count }
    for start in stride(from: 0, to: count, by: width) {
      let saturated = configuration.score != .sigmoid && logits[start..<start + width].contains(.infinity)
      for expert in start..<start + width {
        let logit = logits[expert]
        if logit.isNaN { logits[expert] = -.infinity }
        if saturated { logits[expert] = logit == .infinity ? 0x1p126 : -.infinity }
      }
    }
    return false
  }

  /// Experts of a token with non-finite logits: ranked by logit, NaN last, all weights NaN.
  private func selectUnordered(_ scratch: TokenScratch) -> Int {
    let count = if case .topP = configuration.selection { 1 } else { configuration.mostExperts }
    func isAhead(_ a: Int, of b: Int) -> Bool {
      let (x, y) = (scratch.logits[a], scratch.logits[b]), (p, q) = (x.isNaN ? -.infinity : x, y.isNaN ? -.infinity : y)
      if p != q { return p > q }
      return x.isNaN == y.isNaN ? a < b : y.isNaN
    }
    switch configuration.selection {
    case .productKeys: for rank in 0..<count { scratch.ids[rank] = Int32(rank) }
    case .topOfEachGroup: for group in 0..<count { scratch.ids[group] = Int32(group * (configuration.experts / count)) }
    default:
      for expert in 0..<configuration.experts {
        var rank = min(expert, count)
        while rank > 0, isAhead(expert, of: Int(scratch.ids[rank - 1])) {
          if rank < count { scratch.ids[rank] = scratch.ids[rank - 1] }
          rank -= 1
        }
        if rank < count { scratch.ids[rank] = Int32(expert) }
      }
    }
    for rank in 0..<count { scratch.weights[rank] = .nan }
    return count
  }

  /// Experts of one token. Returns their number.
  private func selectOne(_ scratch: TokenScratch) -> Int {
    switch configuration.selection {
    case .sparseMixer(let epsilon): return selectSparsely(epsilon: epsilon, scratch)
    case .productKeys(let keys, let k): return selectProduct(keys: keys, k: k, scratch)
    default: break
    }
    scoreAndLimit(scratch)
    var count = 0
    switch configuration.selection {
    case .topK(let k): count = topK(k, scratch)
    case .topP(let threshold):
      let found = topK(configuration.scores, scratch)
      var sum = 0.0
      while count < found, sum <= Double(threshold) {
        sum += Double(scratch.scores[Int(scratch.ids[count])])
        count += 1
      }
    case .topOfEachGroup(let groups):
      let width = configuration.scores / groups
      for group in 0..<groups {
        var best = -1
        for expert in group * width..<(group + 1) * width where scratch.choice[expert] > (best < 0 ? -.infinity : scratch.choice[best]) { best = expert }
        guard best >= 0 else { continue }
        scratch.ids[count] = Int32(best)
        count += 1
      }
    default: count = topK(configuration.scores, scratch)
    }
    weigh(count, scratch)
    return count
  }

  /// Scores of a row, then choice bias, group removal and masks.
  private func scoreAndLimit(_ scratch: TokenScratch) {
    let scores = configuration.scores
    let rows = if case .topOfEachGroup(let groups) = configuration.selection, configuration.score == .softmax { groups } else { 1 }
    for first in stride(from: 0, to: scores, by: scores / rows) {
      kernels.row.pointee.router_scores(
        configuration.score.kernelKind, scratch.logits + first, Int64(scores / rows), scratch.scores + first)
    }
    for expert in 0..<scores { scratch.choice[expert] = scratch.scores[expert] + (choiceBias?[expert] ?? 0) }
    if let groups = configuration.groups { remove(groups, scratch) }
    for expert in 0..<scores where scratch.logits[expert] == -.infinity { scratch.choice[expert] = -.infinity }
  }

  /// Gives experts outside the best groups the fill value; ties go to the lower group.
  private func remove(_ groups: RouterConfiguration.Groups, _ scratch: TokenScratch) {
    kernels.row.pointee.limit_groups(
      groups.score == .max ? MOE_GROUP_MAX : MOE_GROUP_TOP_TWO_SUM, Int64(groups.count), Int64(groups.kept), groups.fill,
      Int64(configuration.scores), scratch.choice, scratch.scores, scratch.groupScores, scratch.keptGroups)
  }

  private func topK(_ k: Int, _ scratch: TokenScratch) -> Int {
    Int(kernels.row.pointee.topk(scratch.choice, Int64(configuration.scores), Int64(k), scratch.ids))
  }

  /// Weights of the first `count` ids.
  private func weigh(_ count: Int, _ scratch: TokenScratch) {
    switch configuration.weight {
    case .one: for rank in 0..<count { scratch.weights[rank] = 1 }
    case .score: for rank in 0..<count { scratch.weights[rank] = scratch.scores[Int(scratch.ids[rank])] }
    case .softmaxOfSelected, .sigmoidOfSelected:
      for rank in 0..<count { scratch.selected[rank] = scratch.logits[Int(scratch.ids[rank])] }
      let kind = configuration.weight == .softmaxOfSelected ? MOE_SCORE_SOFTMAX : MOE_SCORE_SIGMOID
      kernels.row.pointee.router_scores(kind, scratch.selected, Int64(count), scratch.weights)
    }
  }
}

extension RouterConfiguration.Score {
  package var kernelKind: moe_score {
    switch self {
    case .softmax: MOE_SCORE_SOFTMAX
    case .sigmoid: MOE_SCORE_SIGMOID
    case .sqrtSoftplus: MOE_SCORE_SQRTSOFTPLUS
    case .identity: MOE_SCORE_IDENTITY
    }
  }
}
