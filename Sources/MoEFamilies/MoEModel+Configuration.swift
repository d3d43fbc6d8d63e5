// From a family's keys to the typed configuration of one block.

internal import MoECheckpoint
internal import MoEExperts
internal import MoERouting
internal import MoETensors

extension MoEModel {
  /// What the block computes.
  ///
  /// - Throws: `MoEError.missingKey`, `.badValue` or `.routing` naming the values.
  public func configuration(of block: MoEBlock) throws(MoEError) -> MoEConfiguration {
    let reader = ConfigurationReader(lookup: lookup, family: name, layer: block.layer)
    let hidden = try reader.integer(family.hidden), experts = try reader.integer(family.experts)
    let identity = try reader.integer(family.identityExperts)
    let router = try routerConfiguration(reader, experts: experts + identity)
    let latent = if let rule = family.latent { try reader.integer(rule.size) } else { 0 }
    let layout = try expertLayout(of: block), intermediate = try reader.integer(family.intermediate)
    guard hidden > 0, intermediate > 0 else {
      throw .badValue(key: "hidden and intermediate size", value: "\(hidden) and \(intermediate)", reason: "expected more than 0")
    }
    return MoEConfiguration(
      family: name, hidden: hidden, expertHidden: latent > 0 ? latent : hidden, intermediate: intermediate, experts: experts, identityExperts: identity, topK: try topK(reader), router: router,
      activation: try activation(reader, family.activation), isGated: layout.isGated, weightOnInput: family.weightOnInput,
      outputScale: Float(try reader.number(family.outputScale)), shared: try sharedConfiguration(reader, block), isLatent: latent > 0,
      hasOutputBias: family.outputBias != nil)
  }

  private func topK(_ reader: ConfigurationReader) throws(MoEError) -> Int {
    if case .sparseMixer = family.router.selection { return 2 }
    return try reader.integer(family.topK)
  }

  private func routerConfiguration(_ reader: ConfigurationReader, experts: Int) throws(MoEError) -> RouterConfiguration {
    let rule = family.router, k = try topK(reader)
    var record = RouterConfiguration(scores: experts, score: .softmax, selection: .topK(k), weight: rule.weight)
    switch rule.score {
    case .fixed(let score): record.score = score
    case .named(let key, let fallback):
      let name = try reader.string([key], default: "")
      switch name {
      case "": record.score = fallback
      case "softmax": record.score = .softmax
      case "sigmoid": record.score = .sigmoid
      case "sqrtsoftplus": record.score = .sqrtSoftplus
      default: throw .badValue(key: key, value: name, reason: "expected softmax, sigmoid or sqrtsoftplus")
      }
    case .gguf(let fallback):
      let function = try reader.integer(.key("expert_gating_func", default: fallback))
      switch function == 0 ? fallback : function {
      case 1: record.score = .softmax
      case 2: record.score = .sigmoid
      case 3: (record.score, record.weight) = (.identity, .softmaxOfSelected)
      default: throw .badValue(key: "expert_gating_func", value: "\(function)", reason: "expected 1, 2 or 3")
      }
    }
    switch rule.selection {
    case .topK: break
    case .sparseMixer(let epsilon): record.selection = .sparseMixer(epsilon: Float(try reader.number(epsilon)))
    case .productKeys:
      let keys = try reader.integer(.squareRoot(family.experts))
      record.selection = .productKeys(keys: keys, k: k)
      (record.scores, record.experts) = (2 * keys, keys * keys)
    }
    if let groups = rule.groups, try reader.flag(groups.when) {
      let count = try reader.integer(groups.count)
      // GGUF marks DeepSeek-V2's rule by its softmax scores alone.
      let isV2 = if case .gguf = rule.score { record.score == .softmax } else { false }
      if count > 1 || groups.fill == 0 {
        record.groups = .init(
          count: count, kept: try reader.integer(groups.kept), score: isV2 ? .max : groups.score, fill: isV2 ? 0 : groups.fill)
      }
    }
    if let norm = rule.norm, try reader.flag(norm.when) {
      var isOff = false
      if case .keys(let keys, _) = norm.p { isOff = keys.allSatisfy(reader.isNull) }
      if !isOff {
        record.norm = .init(p: try reader.number(norm.p), epsilon: norm.epsilon, minimum: try reader.number(norm.minimum))
      }
    }
    let scale = Float(try reader.number(rule.scale))
    record.scale = scale == 0 ? 1 : scale
    switch rule.capacity {
    case nil: break
    case .perSequence(let limit)?: record.capacity = .init(.assignments(try reader.integer(limit)), order: .tokenMajor, perSequence: true)
    case .nllb?:
      let fraction = try reader.number(.key("moe_eval_capacity_token_fraction", default: 1))
      let limit: RouterConfiguration.Capacity.Limit =
        if fraction > 0 { .fraction(fraction) } else if reader.isNull("expert_capacity") { .twiceEvenShare } else {
          .assignments(try reader.integer(.key("expert_capacity", default: 64)))
        }
      record.capacity = .init(
        limit, order: .rankMajor, perSequence: false,
        bestTokensFirst: try reader.flag(.key("batch_prioritized_routing", default: false)),
        normBeforeDropping: try reader.flag(.key("normalize_router_prob_before_dropping", default: false)))
    }
    try MoEError.routing { [record] () throws(RoutingError) in try record.validate() }
    return record
  }

  private func activation(_ reader: ConfigurationReader, _ rule: ActivationRule) throws(MoEError) -> ExpertActivation {
    let limit: Float? = if let key = rule.limit { Float(try reader.number(key)) } else { nil }
    if let alpha = rule.alpha { return ExpertActivation(.swigluOAI, limit: limit, alpha: Float(try reader.number(alpha))) }
    let name = try reader.string(rule.keys, default: rule.fallback)
    let kind: ExpertActivation.Kind
    switch name {
    case "silu", "swish": kind = .silu
    case "gelu": kind = .gelu
    case "gelu_new", "gelu_pytorch_tanh", "gelu_tanh", "gelu_fast": kind = .geluTanh
    case "relu": kind = .relu
    case "relu2", "relu_squared": kind = .relu2
    default: throw .badValue(key: rule.keys.first ?? "activation", value: name, reason: "no such activation in the package")
    }
    return ExpertActivation(kind, limit: limit)
  }

  private func sharedConfiguration(_ reader: ConfigurationReader, _ block: MoEBlock) throws(MoEError) -> MoEConfiguration.Shared? {
    guard let rule = family.shared else { return nil }
    let width: Int
    if let key = rule.intermediate {
      width = try reader.integer(key)
    } else {
      guard case .split(_, let up, _) = rule.names else { return nil }
      let view = try MoEError.reading { () throws(CheckpointError) in try checkpoint.tensors.tensor("\(up).weight".below(block.prefix)) }
      width = view?.shape.first ?? 0
    }
    guard width > 0 else { return nil }
    return MoEConfiguration.Shared(
      intermediate: width, activation: try activation(reader, rule.activation ?? family.activation), isGated: rule.gate != nil)
  }
}

extension ExpertLayout {
  /// False for experts of one nonlinear product.
  var isGated: Bool {
    switch self {
    case .split(let gate, _, _), .stacked(let gate, _, _): gate != nil
    case .fused, .flat: true
    case .embedding: false
    }
  }
}
