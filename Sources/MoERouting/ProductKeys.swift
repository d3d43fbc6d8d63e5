// Product keys: an expert is a pair of keys, its score the sum of theirs (Doge; arXiv 1907.05242).

internal import CMoEKernels
internal import MoETensors

extension Router {
  /// The k best of keys x keys sums; expert id = first key * keys + second key.
  func selectProduct(keys: Int, k: Int, _ scratch: inout SelectionScratch) -> Int {
    for first in 0..<keys {
      for second in 0..<keys { scratch.choice[first * keys + second] = scratch.logits[first] + scratch.logits[keys + second] }
    }
    let count = Int(kernels.row.pointee.topk(scratch.choice, Int64(keys * keys), Int64(k), &scratch.ids))
    let selected = scratch.ids[..<count].map { scratch.choice[Int($0)] }
    kernels.row.pointee.router_scores(MOE_SCORE_SOFTMAX, selected, Int64(count), &scratch.weights)
    return count
  }
}
