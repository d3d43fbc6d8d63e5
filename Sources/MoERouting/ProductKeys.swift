// Product keys: an expert is a pair of keys, its score the sum of theirs (Doge; arXiv 1907.05242).

internal import CMoEKernels
internal import MoETensors

extension Router {
  /// The k best of keys x keys sums; expert id = first key * keys + second key.
  func selectProduct(keys: Int, k: Int, _ scratch: TokenScratch) -> Int {
    for first in 0..<keys {
      for second in 0..<keys { scratch.choice[first * keys + second] = scratch.logits[first] + scratch.logits[keys + second] }
    }
    let count = Int(kernels.row.pointee.topk(scratch.choice, Int64(keys * keys), Int64(k), scratch.ids))
    for rank in 0..<count { scratch.selected[rank] = scratch.choice[Int(scratch.ids[rank])] }
    kernels.row.pointee.router_scores(MOE_SCORE_SOFTMAX, scratch.selected, Int64(count), scratch.weights)
    return count
  }

  /// Where the logit of a token's score lies: the halves of product keys are read across tokens.
  func logitIndex(_ token: Int, _ score: Int, tokens: Int) -> Int {
    guard case .productKeys(let keys, _) = configuration.selection else { return token * configuration.scores + score }
    return (score / keys * tokens + token) * keys + score % keys
  }
}
