// SparseMixer-v2 at inference: two rounds of argmax with a relative threshold (GRIN, arXiv 2409.12136).

internal import CMoEKernels
internal import MoETensors

extension Router {
  /// In each round: m the largest remaining logit; experts with (m - z_j) / max(|z_j|, m) > 2 epsilon are masked, z the original logits;
  /// the weight is the softmax over the others that remain. The two weights do not sum to one.
  func selectSparsely(epsilon: Float, _ scratch: TokenScratch) -> Int {
    let count = configuration.scores, remaining = scratch.choice
    remaining.update(from: scratch.logits, count: count)
    for round in 0..<2 {
      guard kernels.row.pointee.topk(remaining, Int64(count), 1, scratch.ids + round) == 1 else { return round }
      let id = Int(scratch.ids[round]), largest = Double(remaining[id])
      // The largest goes first, whether or not it is within the threshold of itself.
      scratch.selected[0] = remaining[id]
      var included = 1
      for expert in 0..<count where expert != id && remaining[expert] > -.infinity {
        let logit = Double(scratch.logits[expert])
        if (largest - logit) / max(abs(logit), largest) > 2 * Double(epsilon) { continue }
        scratch.selected[included] = remaining[expert]
        included += 1
      }
      kernels.row.pointee.router_scores(MOE_SCORE_SOFTMAX, scratch.selected, Int64(included), scratch.spare)
      scratch.weights[round] = scratch.spare[0]
      remaining[id] = -.infinity
    }
    return 2
  }
}
