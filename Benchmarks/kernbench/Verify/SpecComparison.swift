// The configuration that the package derived, compared with the description a case carries.

import Foundation
import MoE

/// Differences between `spec.router`, `.experts`, `.shared`, `.latent`, `.output_bias` (each only where the case has it) and what was
/// derived from `hf_config` and the tensors.
struct SpecComparison {
  let spec: JSON
  let configuration: MoEConfiguration
  let names: LayerNames

  var differences: [String] {
    var found: [String] = []
    func compare(_ key: String, _ expected: JSON?, _ derived: JSON) {
      let expected = expected ?? .null
      if !expected.agrees(with: derived) { found.append("\(key) is \(derived.serialized()), expected \(expected.serialized())") }
    }
    compare("hidden_size", spec["hidden_size"], .integer(configuration.hidden))
    if names.layout != "embedding" { compare("moe_intermediate_size", spec["moe_intermediate_size"], .integer(configuration.intermediate)) }
    compare("num_experts", spec["num_experts"], .integer(configuration.experts))
    compare("top_k", spec["top_k"], .integer(configuration.topK))
    if let router = spec["router"] { for (key, value) in self.router { compare("router.\(key)", router[key], value) } }
    if let experts = spec["experts"] { for (key, value) in self.experts { compare("experts.\(key)", experts[key], value) } }
    if let shared = spec["shared"] {
      if shared.isNull || names.shared.isEmpty {
        compare("shared", shared.isNull ? .null : .bool(true), names.shared.isEmpty ? .null : .bool(true))
      } else {
        for (key, value) in self.shared { compare("shared.\(key)", shared[key], value) }
      }
    }
    if let latent = spec["latent"] {
      compare("latent.in", latent["in"], names.latentIn.map { .string($0 + ".weight") } ?? .null)
      compare("latent.out", latent["out"], names.latentOut.map { .string($0 + ".weight") } ?? .null)
      compare("latent.size", latent["size"], configuration.isLatent ? .integer(configuration.expertHidden) : .null)
    }
    if let bias = spec["output_bias"] { compare("output_bias", bias, text(names.outputBias)) }
    return found
  }

  private func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }

  private var router: [String: JSON] {
    let record = configuration.router
    var derived: [String: JSON] = [
      "weight": .string(names.routerWeight), "bias": text(names.routerBias), "selection_bias": text(names.choiceBias),
      "num_scores": .integer(record.scores), "num_experts_dense": .integer(record.experts), "scale": .number(Double(record.scale)),
      "kind": .string(kind),
    ]
    if record.capacity == nil {
      derived["norm"] = record.norm.map { norm in
        var object: [String: JSON] = ["p": .number(norm.p)]
        if norm.epsilon != 0 { object["eps"] = .number(norm.epsilon) }
        if norm.minimum != 0 { object["clamp_min"] = .number(norm.minimum) }
        return .object(object)
      } ?? .null
    }
    if let groups = record.groups {
      derived["n_group"] = .integer(groups.count)
      derived["topk_group"] = .integer(groups.kept)
      derived["group_score"] = .string(groups.score == .max ? "max" : "top2_sum")
    }
    switch record.selection {
    case .sparseMixer(let epsilon): derived["jitter_eps"] = .number(Double(epsilon))
    case .productKeys(let keys, _): derived["num_keys"] = .integer(keys)
    default: break
    }
    if let capacity = record.capacity {
      switch capacity.limit {
      case .assignments(let limit): derived["expert_capacity"] = .integer(limit)
      case .fraction(let fraction): derived["moe_eval_capacity_token_fraction"] = .number(fraction)
      case .twiceEvenShare: break
      }
    }
    return derived
  }

  private var kind: String {
    let record = configuration.router
    switch (record.selection, record.weight, record.score) {
    case (.sparseMixer, _, _): return "sparsemixer"
    case (.productKeys, _, _): return "product_key"
    case (_, .softmaxOfSelected, _): return "topk_then_softmax"
    case (_, .sigmoidOfSelected, _): return "topk_then_sigmoid"
    case (_, _, .sigmoid): return "sigmoid"
    case (_, _, .sqrtSoftplus): return "sqrtsoftplus"
    default: return record.capacity == nil ? "softmax" : record.capacity?.order == .tokenMajor ? "switch_top1" : "nllb_top2"
    }
  }

  private var experts: [String: JSON] {
    var derived: [String: JSON] = [
      "layout": .string(names.layout), "activation": .string(name(of: configuration.activation)),
      "weight_on_input": configuration.weightOnInput ? .bool(true) : .null, "limit": limit(configuration.activation),
      "num_zero_experts": configuration.identityExperts > 0 || spec["experts"]?["num_zero_experts"] != nil
        ? .integer(configuration.identityExperts) : .null,
    ]
    let hasScale = configuration.outputScale != 1 || spec["experts"]?["output_scale"] != nil
    derived["output_scale"] = hasScale ? .number(Double(configuration.outputScale)) : .null
    let isLinear = names.layout.hasPrefix("split")
    derived["tensors"] = .object(
      names.experts.mapValues { .string(isLinear && !$0.hasSuffix(".bias") ? $0.replacingExpert + ".weight" : $0.replacingExpert) })
    return derived
  }

  private var shared: [String: JSON] {
    guard let shared = configuration.shared else { return [:] }
    return [
      "activation": .string(name(of: shared.activation)), "intermediate_size": .integer(shared.intermediate),
      "gate": text(names.sharedGate), "limit": limit(shared.activation),
      "tensors": .object(names.shared.mapValues { .string($0.hasSuffix(".weight") || $0.hasSuffix(".bias") ? $0 : $0 + ".weight") }),
    ]
  }

  private func limit(_ activation: ExpertActivation) -> JSON { activation.limit.map { .number(Double($0)) } ?? .null }

  private func name(of activation: ExpertActivation) -> String {
    switch activation.kind {
    case .geluTanh: spec["experts"]?["activation"]?.string == "gelu_pytorch_tanh" ? "gelu_pytorch_tanh" : "gelu_new"
    case .swigluOAI: "gpt_oss"
    default: activation.kind.rawValue
    }
  }
}

extension JSON {
  /// Equal, numbers to the precision of f32.
  fileprivate func agrees(with other: JSON) -> Bool {
    if let a = double, let b = other.double { return abs(a - b) <= 1e-6 * abs(a) }
    if let a = object, let b = other.object { return a.count == b.count && a.allSatisfy { key, value in b[key].map(value.agrees) ?? false } }
    return self == other
  }
}

extension String {
  /// The expert as cases write it.
  fileprivate var replacingExpert: String { replacingOccurrences(of: "{expert}", with: "{e}") }
}
