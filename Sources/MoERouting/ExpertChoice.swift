// Expert choice: every expert takes its best tokens (arXiv 2202.09368).

internal import CMoEKernels
internal import MoETensors

extension Router {
  /// Keeps the scores of one token where its experts will compare them with those of the others; a lost token gets expert 0 and NaN.
  func offer(_ token: Int, isLost: Bool, _ scratch: TokenScratch, in choices: Choices) {
    for expert in 0..<configuration.scores {
      choices.columns[expert * choices.tokens + token] = isLost ? .nan : scratch.choice[expert]
      choices.columnWeights[token * configuration.scores + expert] = scratch.scores[expert]
    }
    choices.counts[token] = isLost ? 1 : 0
    if isLost { (scratch.ids[0], scratch.weights[0]) = (0, .nan) }
  }

  /// Expert e takes the C best of column e, C = ceil(tokens * factor / experts), at most all; a token may get any number of experts,
  /// listed by descending score. Depends on the whole batch by definition.
  func chooseTokens(factor: Float, _ choices: Choices) {
    let tokens = choices.tokens, experts = configuration.scores
    let capacity = Int(min(Double(tokens), (Double(tokens) * Double(factor) / Double(experts)).rounded(.up)))
    for expert in 0..<experts {
      let column = choices.columns + expert * tokens
      let count = Int(kernels.row.pointee.topk(column, Int64(tokens), Int64(capacity), choices.order))
      for token in UnsafeBufferPointer(start: choices.order, count: count) {
        let token = Int(token), ids = choices.ids + token * choices.most, weights = choices.weights + token * choices.most
        var rank = Int(choices.counts[token])
        // Experts come in ascending order: a strict comparison leaves ties to the lower id.
        while rank > 0, column[token] > choices.columns[Int(ids[rank - 1]) * tokens + token] {
          (ids[rank], weights[rank]) = (ids[rank - 1], weights[rank - 1])
          rank -= 1
        }
        (ids[rank], weights[rank]) = (Int32(expert), choices.columnWeights[token * experts + expert])
        choices.counts[token] += 1
      }
    }
  }
}
