// SparseMixer-v2 at inference: two rounds of argmax with a relative threshold (GRIN, arXiv 2409.12136).

internal import CMoEKernels
internal import MoETensors

extension Router {
  /// In each round: m the largest remaining logit; experts with (m - z_j) / max(|z_j|, m) > 2 epsilon are masked, z the original logits;
  /// the weight is the softmax over the others that remain. The two weights do not sum to one.
  func selectSparsely(epsilon: Float, _ scratch: inout SelectionScratch) -> Int {
    var remaining = scratch.logits
    var found = 0
    for round in 0..<2 {
      var id: Int32 = 0
      guard kernels.row.pointee.topk(remaining, Int64(remaining.count), 1, &id) == 1 else { break }
      let largest = Double(remaining[Int(id)])
      let included = remaining.indices.filter { expert in
        let logit = Double(scratch.logits[expert])
        return remaining[expert] > -.infinity && !((largest - logit) / max(abs(logit), largest) > 2 * Double(epsilon))
      }
      let logits = [remaining[Int(id)]] + included.filter { $0 != Int(id) }.map { remaining[$0] }
      var softmax = [Float](repeating: 0, count: logits.count)
      kernels.row.pointee.router_scores(MOE_SCORE_SOFTMAX, logits, Int64(logits.count), &softmax)
      scratch.ids[round] = id
      scratch.weights[round] = softmax[0]
      remaining[Int(id)] = -.infinity
      found += 1
    }
    return found
  }
}
