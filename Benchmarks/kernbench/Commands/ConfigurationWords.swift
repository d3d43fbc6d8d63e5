// A layer's configuration in words.

import MoE

extension MoEConfiguration {
  /// Lines about experts, router and shared expert.
  var words: [String] {
    var lines = ["experts: \(experts) of \(expertHidden) x \(intermediate), top-\(topK), \(activation.words)\(isGated ? ", gated" : "")"]
    if identityExperts > 0 { lines[0] += ", and \(identityExperts) that return their input" }
    if isLatent { lines[0] += ", behind a projection from \(hidden)" }
    if weightOnInput { lines[0] += ", weight on the input" }
    if outputScale != 1 { lines[0] += ", output times \(outputScale)" }
    lines.append("router: \(router.words)")
    if let shared { lines.append("shared expert: \(hidden) x \(shared.intermediate), \(shared.activation.words)\(shared.isGated ? ", sigmoid gate" : "")") }
    if hasOutputBias { lines.append("output bias") }
    return lines
  }
}

extension ExpertActivation {
  var words: String { kind.rawValue + (limit.map { " clamped at \($0)" } ?? "") }
}

extension RouterConfiguration {
  /// "softmax of 128 scores, top-8, weights divided by their sum".
  var words: String {
    var parts = [score == .identity ? "\(scores) logits" : "\(score.rawValue) of \(scores) scores"]
    if let groups { parts.append("best \(groups.kept) of \(groups.count) groups by \(groups.score == .max ? "maximum" : "two largest")") }
    switch selection {
    case .topK(let k): parts.append("top-\(k)")
    case .topP(let p): parts.append("top-p \(p)")
    case .topOfEachGroup(let groups): parts.append("best of each of \(groups) groups")
    case .expertChoice(let factor): parts.append("expert choice with factor \(factor)")
    case .sparseMixer(let epsilon): parts.append("sparsemixer with epsilon \(epsilon)")
    case .productKeys(let keys, let k): parts.append("top-\(k) of \(keys) x \(keys) product keys")
    case .all: parts.append("all experts")
    }
    switch weight {
    case .score: break
    case .softmaxOfSelected: parts.append("softmax of the selected")
    case .sigmoidOfSelected: parts.append("sigmoid of the selected")
    case .one: parts.append("weight 1")
    }
    if let norm { parts.append(norm.p == 1 ? "weights divided by their sum" : "weights divided by their \(norm.p)-norm") }
    if scale != 1 { parts.append("times \(scale)") }
    if let capacity {
      switch capacity.limit {
      case .assignments(let limit): parts.append("capacity \(limit)")
      case .fraction(let fraction): parts.append("capacity \(fraction) of the tokens")
      case .twiceEvenShare: parts.append("capacity twice the even share")
      }
    }
    return parts.joined(separator: ", ")
  }
}

extension Quantization {
  var words: String {
    switch self {
    case .none: "none beyond the tensors' own formats"
    case .fp8(let block): "fp8" + (block.map { ", a scale for \($0.map(String.init).joined(separator: " x "))" } ?? "")
    case .awq: "awq"
    case .gptq: "gptq"
    case .compressedTensors: "compressed-tensors"
    case .mxfp4: "mxfp4"
    case .bitsAndBytes: "bitsandbytes nf4"
    case .nvfp4: "nvfp4"
    }
  }
}
