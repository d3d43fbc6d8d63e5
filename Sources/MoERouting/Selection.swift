// Selection: from logits to the experts of every token.

internal import CMoEKernels
internal import MoETensors

/// Scratch of one token.
struct SelectionScratch {
  /// Logits as edited by the policy for non-finite values.
  var logits: [Float]
  /// Scores that become weights.
  var scores: [Float]
  /// Scores that decide: biased, groups removed, masked.
  var choice: [Float]
  var ids: [Int32]
  var weights: [Float]

  init(scores count: Int, experts: Int) {
    logits = [Float](repeating: 0, count: count)
    scores = logits
    choice = [Float](repeating: 0, count: max(count, experts))
    ids = [Int32](repeating: 0, count: experts)
    weights = [Float](repeating: 0, count: experts)
  }
}

extension Router {
  /// Selects for every token. `choices.weights` are not yet normalised or scaled.
  func select(_ logits: [Float], tokens: Int) throws(RoutingError) -> Choices {
    let scores = configuration.scores
    let usual = if case .topK(let k) = configuration.selection { k } else { 2 }
    var choices = Choices(output: RouterOutput(experts: configuration.experts, reserving: tokens, each: usual))
    var scratch = SelectionScratch(scores: scores, experts: configuration.experts)
    if case .expertChoice(let factor) = configuration.selection {
      try selectByExperts(logits, tokens: tokens, factor: factor, into: &choices, &scratch)
      return choices
    }
    for token in 0..<tokens {
      if case .productKeys(let keys, _) = configuration.selection {
        for half in 0..<2 { for key in 0..<keys { scratch.logits[half * keys + key] = logits[(half * tokens + token) * keys + key] } }
      } else {
        for expert in 0..<scores { scratch.logits[expert] = logits[token * scores + expert] }
      }
      let finite = try settle(token, &scratch)
      let count = finite || configuration.nonFinite == .sanitize ? selectOne(&scratch) : selectUnordered(&scratch)
      if !finite { choices.output.nonFiniteTokens += 1 }
      note(scratch, isLost: !finite && configuration.nonFinite == .propagate, in: &choices)
      choices.output.append(scratch.ids[..<count], weights: scratch.weights[..<count])
    }
    return choices
  }

  /// Keeps what capacity and norm will want to know of a token's scores; a lost token has none.
  func note(_ scratch: SelectionScratch, isLost: Bool, in choices: inout Choices) {
    if configuration.capacity?.bestTokensFirst == true {
      choices.bestScores.append(isLost ? -.infinity : scratch.scores.reduce(-.infinity) { $1 > $0 ? $1 : $0 })
    }
    if let norm = configuration.norm, norm.over == .all { choices.fullNorms.append(isLost ? .nan : norm.of(scratch.scores)) }
  }

  /// Applies the policy for NaN and +inf logits; false when there were any.
  func settle(_ token: Int, _ scratch: inout SelectionScratch) throws(RoutingError) -> Bool {
    guard let bad = scratch.logits.firstIndex(where: { $0.isNaN || $0 == .infinity }) else { return true }
    switch configuration.nonFinite {
    case .throwError: throw .nonFiniteLogit(token: token, expert: bad, value: scratch.logits[bad])
    case .propagate: break
    case .sanitize:
      // Sums over experts, or over both halves of product keys, stay finite with 2^126 for infinity; a sigmoid takes infinity itself.
      let count = scratch.logits.count, width = if case .productKeys(let keys, _) = configuration.selection { keys } else { count }
      for start in stride(from: 0, to: count, by: width) {
        let saturated = configuration.score != .sigmoid && scratch.logits[start..<start + width].contains(.infinity)
        for expert in start..<start + width {
          let logit = scratch.logits[expert]
          if logit.isNaN { scratch.logits[expert] = -.infinity }
          if saturated { scratch.logits[expert] = logit == .infinity ? 0x1p126 : -.infinity }
        }
      }
    }
    return false
  }

  /// Experts of a token with non-finite logits: ranked by logit, NaN last, all weights NaN.
  private func selectUnordered(_ scratch: inout SelectionScratch) -> Int {
    let count =
      switch configuration.selection {
      case .topK(let k), .productKeys(_, let k): k
      case .topP, .expertChoice: 1
      case .topOfEachGroup(let groups): groups
      case .sparseMixer: 2
      case .all: configuration.experts
      }
    func rank(_ expert: Int) -> Float {
      let logit = expert < scratch.logits.count ? scratch.logits[expert] : -.infinity
      return logit.isNaN ? -.infinity : logit
    }
    let order: [Int]
    switch configuration.selection {
    case .productKeys: order = Array(0..<count)
    case .topOfEachGroup(let groups): order = (0..<groups).map { $0 * (configuration.experts / groups) }
    default:
      order = (0..<configuration.experts).sorted {
        let (a, b) = (rank($0), rank($1))
        if a != b { return a > b }
        let (x, y) = (scratch.logits[$0].isNaN, scratch.logits[$1].isNaN)
        return x != y ? y : $0 < $1
      }
    }
    for rank in 0..<count {
      scratch.ids[rank] = Int32(order[rank])
      scratch.weights[rank] = .nan
    }
    return count
  }

  /// Experts of one token; ids and weights are left in the scratch. Returns their number.
  private func selectOne(_ scratch: inout SelectionScratch) -> Int {
    switch configuration.selection {
    case .sparseMixer(let epsilon): return selectSparsely(epsilon: epsilon, &scratch)
    case .productKeys(let keys, let k): return selectProduct(keys: keys, k: k, &scratch)
    default: break
    }
    scoreAndLimit(&scratch)
    let count: Int
    switch configuration.selection {
    case .topK(let k): count = topK(k, &scratch)
    case .topP(let threshold):
      let found = topK(configuration.scores, &scratch)
      var sum = 0.0, taken = 0
      while taken < found, sum <= Double(threshold) {
        sum += Double(scratch.scores[Int(scratch.ids[taken])])
        taken += 1
      }
      count = taken
    case .topOfEachGroup(let groups):
      let width = configuration.scores / groups
      var taken = 0
      for group in 0..<groups {
        let range = group * width..<(group + 1) * width
        guard let best = range.filter({ scratch.choice[$0] > -.infinity }).max(by: { scratch.choice[$0] < scratch.choice[$1] || (scratch.choice[$0] == scratch.choice[$1] && $0 > $1) })
        else { continue }
        scratch.ids[taken] = Int32(best)
        taken += 1
      }
      count = taken
    default: count = topK(configuration.scores, &scratch)
    }
    weigh(count, &scratch)
    return count
  }

  /// Scores of a row, then choice bias, group removal and masks.
  func scoreAndLimit(_ scratch: inout SelectionScratch) {
    let scores = configuration.scores
    if case .topOfEachGroup(let groups) = configuration.selection, configuration.score == .softmax {
      let width = scores / groups
      scratch.logits.withUnsafeBufferPointer { logits in
        scratch.scores.withUnsafeMutableBufferPointer { out in
          for group in 0..<groups {
            kernels.row.pointee.router_scores(
              MOE_SCORE_SOFTMAX, logits.baseAddress! + group * width, Int64(width), out.baseAddress! + group * width)
          }
        }
      }
    } else {
      kernels.row.pointee.router_scores(configuration.score.kernelKind, scratch.logits, Int64(scores), &scratch.scores)
    }
    for expert in 0..<scores { scratch.choice[expert] = scratch.scores[expert] + (choiceBias?[expert] ?? 0) }
    if let groups = configuration.groups { remove(groups, &scratch) }
    for expert in 0..<scores where scratch.logits[expert] == -.infinity { scratch.choice[expert] = -.infinity }
  }

  /// Gives experts outside the best groups the fill value; ties go to the lower group. Weights and ids are scratch until the choice.
  private func remove(_ groups: RouterConfiguration.Groups, _ scratch: inout SelectionScratch) {
    kernels.row.pointee.limit_groups(
      groups.score == .max ? MOE_GROUP_MAX : MOE_GROUP_TOP_TWO_SUM, Int64(groups.count), Int64(groups.kept), groups.fill,
      Int64(configuration.scores), &scratch.choice, &scratch.scores, &scratch.weights, &scratch.ids)
  }

  func topK(_ k: Int, _ scratch: inout SelectionScratch) -> Int {
    Int(kernels.row.pointee.topk(scratch.choice, Int64(configuration.scores), Int64(k), &scratch.ids))
  }

  /// Weights of the first `count` ids.
  func weigh(_ count: Int, _ scratch: inout SelectionScratch) {
    switch configuration.weight {
    case .one: for rank in 0..<count { scratch.weights[rank] = 1 }
    case .score: for rank in 0..<count { scratch.weights[rank] = scratch.scores[Int(scratch.ids[rank])] }
    case .softmaxOfSelected, .sigmoidOfSelected:
      let selected = scratch.ids[..<count].map { scratch.logits[Int($0)] }
      let kind = configuration.weight == .softmaxOfSelected ? MOE_SCORE_SOFTMAX : MOE_SCORE_SIGMOID
      kernels.row.pointee.router_scores(kind, selected, Int64(count), &scratch.weights)
    }
  }
}

extension RouterConfiguration.Score {
  var kernelKind: moe_score {
    switch self {
    case .softmax: MOE_SCORE_SOFTMAX
    case .sigmoid: MOE_SCORE_SIGMOID
    case .sqrtSoftplus: MOE_SCORE_SQRTSOFTPLUS
    case .identity: MOE_SCORE_IDENTITY
    }
  }
}
