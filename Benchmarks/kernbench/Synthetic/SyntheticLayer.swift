// A layer of a preset that exists as a seed: its tensors and the metadata of the checkpoint around them.

import MoE

/// What kind of checkpoint a layer is written as.
enum Container { case gguf, safetensors }

/// Tensors and metadata of one layer with random weights.
struct SyntheticLayer {
  let tensors: [SyntheticTensor]
  let metadata: Checkpoint.Metadata

  /// - Parameter withShared: whether the family's shared expert is there.
  /// - Throws: `Failure` when the family is not published with these formats in this kind of checkpoint.
  init(_ preset: Preset, _ formats: FormatPair, as container: Container, withShared: Bool, seed: UInt64) throws {
    try formats.check(preset)
    var preset = preset
    if !withShared { preset.shared = 0 }
    var maker = TensorMaker(preset: preset, seed: seed)
    switch container {
    case .gguf:
      try maker.appendGGUF(formats)
      metadata = .gguf(Self.metadata(preset))
    case .safetensors:
      if preset.family.modelType == "llama4_text" { maker.preset.shared = preset.intermediate }
      try maker.appendSafetensors(formats)
      metadata = .config(Self.config(maker.preset, formats))
    }
    tensors = maker.tensors
  }

  /// The kind of checkpoint `run` builds in memory: GGUF, whose rows are borrowed as they lie, unless it lacks a format.
  static func container(for formats: FormatPair) -> Container {
    formats.gateUp.ggufType != nil && formats.down.ggufType != nil ? .gguf : .safetensors
  }

  var byteCount: Int { get throws { try tensors.reduce(0) { try $0 + $1.byteCount } } }

  /// The checkpoint in memory.
  func checkpoint(_ pool: WorkerPool, path: String) throws -> Checkpoint {
    let views = try tensors.map { try $0.view(pool) }
    return Checkpoint(tensors: TensorsInMemory(views, description: path), metadata: metadata, path: path)
  }

  private static func metadata(_ preset: Preset) -> [String: GGUFValue] {
    let family = preset.family
    var keys: [String: GGUFValue] = [
      "embedding_length": .u32(UInt32(preset.hidden)), "block_count": .u32(1), family.lengthKey: .u32(UInt32(preset.intermediate)),
      "expert_count": .u32(UInt32(preset.experts)), "expert_used_count": .u32(UInt32(preset.topK)),
    ]
    keys.merge(family.gguf(preset)) { $1 }
    var metadata = Dictionary(uniqueKeysWithValues: keys.map { ("\(family.architecture).\($0)", $1) })
    metadata["general.architecture"] = .string(family.architecture)
    metadata["general.name"] = .string("\(preset.name), random weights")
    return metadata
  }

  private static func config(_ preset: Preset, _ formats: FormatPair) -> JSON {
    let family = preset.family
    var keys: [String: JSON] = [
      "model_type": .string(family.modelType), "hidden_size": .integer(preset.hidden), "num_hidden_layers": .integer(1),
      "num_experts_per_tok": .integer(preset.topK), "hidden_act": .string("silu"),
    ]
    keys.merge(family.config(preset)) { $1 }
    if let quantization = formats.quantizationConfig { keys["quantization_config"] = quantization }
    guard family.modelType == "llama4_text" else { return .object(keys) }
    let quantization = keys.removeValue(forKey: "quantization_config")
    var outer: [String: JSON] = ["model_type": .string("llama4"), "text_config": .object(keys)]
    outer["quantization_config"] = quantization
    return .object(outer)
  }
}

extension FormatPair {
  /// `quantization_config` of the published checkpoints with these formats; nil for plain weights.
  fileprivate var quantizationConfig: JSON? {
    switch gateUp.name {
    case "f8_e4m3":
      .object([
        "quant_method": .string("fp8"), "fmt": .string("e4m3"), "activation_scheme": .string("dynamic"),
        "weight_block_size": .array([.integer(128), .integer(128)]),
      ])
    case "mxfp4": .object(["quant_method": .string("mxfp4")])
    default: nil
    }
  }
}

/// Tensors held in memory, found by name.
struct TensorsInMemory: TensorSource {
  let tensorNames: [String]
  let fileDescription: String
  private let views: [String: TensorView]

  init(_ views: [TensorView], description: String) {
    tensorNames = views.map(\.name)
    fileDescription = description
    self.views = Dictionary(uniqueKeysWithValues: views.map { ($0.name, $0) })
  }

  func tensor(_ name: String) throws(CheckpointError) -> TensorView? { views[name] }
}
