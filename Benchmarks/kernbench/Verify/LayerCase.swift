// One MoE layer with input, routing and output of the reference implementation.

import MoE

struct LayerCase {
  let path: String
  let file: SafetensorsFile

  func run(_ setting: LayerSetting) -> [CaseResult] {
    do { return try check(setting) } catch { return [.failed(path.caseName, "\(error)")] }
  }

  private func check(_ setting: LayerSetting) throws -> [CaseResult] {
    guard let text = file.metadata["spec"] else { return [.failed(path.caseName, "the file has no metadata entry 'spec'")] }
    let spec = try JSON(parsing: text, file: path)
    guard case .object(var config)? = spec["hf_config"], let prefix = spec["checkpoint_prefix"]?.string else {
      return [.failed(path.caseName, "spec lacks hf_config or checkpoint_prefix")]
    }
    if let quantization = spec["quantization"], !quantization.isNull { config["quantization_config"] = Self.published(quantization) }
    let model = try MoEModel(Checkpoint(tensors: file, metadata: .config(.object(config)), path: path))
    let block = try model.block(prefix: prefix)
    let differences = try SpecComparison(spec: spec, configuration: model.configuration(of: block), names: model.names(of: block)).differences
    guard differences.isEmpty else { return [.failed(path.caseName, "derived configuration differs: \(differences.joined(separator: "; "))")] }
    return try setting.layers(model, block).map { layer in
      try LayerCheck(name: path.caseName, source: file, prefix: "io.").run(
        layer, input: "hidden_states", output: "output", routedOutput: "routed_output")
    }
  }

  /// `spec.quantization` in the words of a published `quantization_config`.
  private static func published(_ quantization: JSON) -> JSON {
    var config = quantization.object ?? [:]
    config["quant_method"] = config["method"]
    config["weight_block_size"] = config["block"]
    return .object(config)
  }
}

/// Where and how the layers of a run are computed.
struct LayerSetting {
  let machine: Machine
  let device: DeviceChoice
  let precisions: [ActivationPrecision]
  let layout: WeightLayout?

  /// The layer in every precision asked for; with rounded activations only where that makes a difference.
  func layers(_ model: MoEModel, _ block: MoEBlock) throws -> [MoELayer] {
    let weights = try model.weights(of: block, kernels: machine.kernels), configuration = try model.configuration(of: block)
    return try precisions.compactMap { precision in
      let layer = try MoELayer(
        configuration: configuration, weights: weights, on: machine, device: device.device, activations: precision, layout: layout,
        placement: device.placement(of: weights, on: machine.topology))
      return layer.activations == precision ? layer : nil
    }
  }
}

/// Compares a layer with the tensors of a reference run.
struct LayerCheck {
  /// max|error| / max|reference| on float activations.
  static let outputBound = 2e-5
  static let weightBound = 1e-5

  let name: String
  let source: SafetensorsFile
  /// What the names of the run's tensors begin with.
  let prefix: String

  func run(_ layer: MoELayer, input: String, output: String, routedOutput: String? = nil) throws -> CaseResult {
    let view = try required(input)
    guard let hidden = view.shape.last, hidden > 0, view.count > 0 else { return .failed(name, "input of shape \(view.shape)") }
    let tokens = view.count / hidden
    let states = try HiddenStates(view.floats(), tokens: tokens, hidden: hidden)
    let sequences = view.shape.count == 3 ? [Int](repeating: view.shape[1], count: view.shape[0]) : [tokens]
    let routing = try layer.route(states, sequenceLengths: sequences)
    if let message = try routingDifference(routing, tokens) { return .failed(name, message) }
    let expected = try exact(output).floats()
    let found = try run(layer, states, routing: nil, sequences)
    let isRounded = layer.activations != .float, distance = isRounded ? normalizedSquaredError : relativeError
    var error = distance(found, expected)
    error = max(error, distance(try run(layer, states, routing: routing, sequences), expected))
    if let routedOutput, let routed = try optional(routedOutput) {
      var weights = layer.weights
      weights.shared = nil
      let alone = try layer.replacing(weights)
      error = max(error, distance(try run(alone, states, routing: nil, sequences), try routed.floats()))
    }
    return isRounded
      ? .measured("\(name) \(layer.activations.rawValue)", error: error, bound: OutputCheck.bound(layer.activations))
      : .measured(name, error: error, bound: Self.outputBound)
  }

  private func run(_ layer: MoELayer, _ states: HiddenStates, routing: RouterOutput?, _ sequences: [Int]) throws -> [Float] {
    var out = [Float](repeating: .nan, count: states.values.count)
    try states.values.withUnsafeBufferPointer { from in
      try out.withUnsafeMutableBufferPointer { to in
        _ = try layer.forward(
          RowView(from.baseAddress!, count: states.tokens, columns: states.hidden),
          into: MutableRowView(to.baseAddress!, count: states.tokens, columns: states.hidden), routing: routing, sequenceLengths: sequences)
      }
    }
    return out
  }

  /// Experts exact (order free only among equal logits), weights within the bound.
  private func routingDifference(_ routing: RouterOutput, _ tokens: Int) throws -> String? {
    let ids = try required("topk_indices"), weights = try exact("topk_weights").floats()
    guard ids.type == .i32, ids.shape.count == 2, ids.shape[0] == tokens, weights.count == ids.count else {
      return "topk_indices of shape \(ids.shape) for \(tokens) tokens"
    }
    let k = ids.shape[1], logits = try exact("router_logits").floats(), kept = try optional("kept").map(Self.integers)
    let all = try Self.integers(ids)
    for token in 0..<tokens {
      let expected = (token * k..<(token + 1) * k).filter { index in kept == nil || kept![index] != 0 }
      let found = routing.assignments(of: token)
      guard found.count == expected.count else { return "token \(token) has experts \(found.map(\.expert)), expected \(expected.map { all[$0] })" }
      for (rank, index) in expected.enumerated() where found[rank].expert != all[index] {
        let scores = logits.count / tokens
        func logit(_ expert: Int) -> Float { expert < scores ? logits[token * scores + expert] : .nan }
        guard logit(found[rank].expert) == logit(all[index]) else {
          return "token \(token) has experts \(found.map(\.expert)), expected \(expected.map { all[$0] })"
        }
      }
      for (rank, index) in expected.enumerated() {
        let w = Double(found[rank].weight), e = Double(weights[index])
        guard abs(w - e) <= Self.weightBound * max(abs(e), 1e-30) else {
          return "token \(token), expert \(all[index]): weight \(w), expected \(e)"
        }
      }
    }
    return nil
  }

  private static func integers(_ view: TensorView) throws -> [Int] {
    guard view.type == .i32 else { throw Failure("tensor '\(view.name)' holds \(view.type), expected i32") }
    return (0..<view.count).map { Int(view.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Int32.self)) }
  }

  private func optional(_ name: String) throws -> TensorView? { try source.tensor(prefix + name) }

  private func required(_ name: String) throws -> TensorView {
    guard let view = try optional(name) else { throw Failure("tensor '\(prefix)\(name)' is missing") }
    return view
  }

  /// The value of the float32 run where there is one.
  private func exact(_ name: String) throws -> TensorView { try optional(name + "_f32") ?? required(name) }
}
