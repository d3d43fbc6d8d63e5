// A checkpoint understood: its family, its MoE blocks and what each computes.

public import MoECheckpoint
internal import MoEExperts
internal import MoERouting
internal import MoETensors

/// One MoE block of a model.
public struct MoEBlock: Sendable, Hashable {
  /// Index of the layer it belongs to.
  public let layer: Int
  /// Prefix of its tensors: "model.layers.3.mlp".
  public let prefix: String
}

/// The MoE layers of a checkpoint.
public struct MoEModel: Sendable {
  /// Where the tensors come from.
  public let checkpoint: Checkpoint
  /// `model_type` or GGUF architecture as the checkpoint has it.
  public let name: String
  /// Its MoE blocks, by layer.
  public let blocks: [MoEBlock]
  /// How linear layers are quantized, by the checkpoint's own word.
  public let quantization: Quantization
  let family: Family
  /// The (nested) object the family's keys are read from.
  let lookup: @Sendable (String) -> ConfigurationValue?

  /// Finds the family and the blocks.
  ///
  /// - Throws: `MoEError.unknownFamily` with the keys and tensors that were not understood, `.unsupportedQuantization`, `.missingKey`.
  public init(_ checkpoint: Checkpoint) throws(MoEError) {
    self.checkpoint = checkpoint
    switch checkpoint.metadata {
    case .config(let config):
      let nested = ["text_config", "language_config", "llm_config", "thinker_config"].compactMap { config[$0] as JSON? }.first { $0.object != nil }
      let inner = nested?["text_config"] ?? nested
      let candidates = [inner, config].compactMap { $0 }
      let names = candidates.compactMap { $0["model_type"]?.string }
      let found = candidates.lazy.compactMap { object -> (Family, JSON)? in
        guard let type = object["model_type"]?.string, let family = Family.published.first(where: { $0.names.contains(type) })
        else { return nil }
        return (family, object)
      }.first
      guard let (family, object) = found else {
        throw Self.unknown(names.first ?? "?", keys: (config.object ?? [:]).keys, checkpoint)
      }
      let text = inner ?? object
      self.family = family
      name = object["model_type"]?.string ?? ""
      lookup = { key in
        var value: JSON? = text
        for part in key.split(separator: ".") { value = value?[String(part)] }
        return value.map(ConfigurationValue.json)
      }
      quantization = try Quantization(config["quantization_config"] ?? text["quantization_config"])
    case .gguf(let metadata):
      let architecture = metadata["general.architecture"]?.string ?? "?"
      guard let family = Family.gguf.first(where: { $0.names.contains(architecture) }) else {
        throw Self.unknown(architecture, keys: metadata.keys.filter { $0.contains("expert") }, checkpoint)
      }
      self.family = family
      name = architecture
      lookup = { key in metadata["\(architecture).\(key)"].map(ConfigurationValue.gguf) }
      quantization = .none
    case .none: throw Self.unknown("no config.json", keys: [], checkpoint)
    }
    let reader = ConfigurationReader(lookup: lookup, family: name, layer: 0)
    blocks = Self.blocks(of: family, in: checkpoint.tensors.tensorNames, layers: try reader.integer(family.layers))
  }

  private static func unknown(_ model: String, keys: some Sequence<String>, _ checkpoint: Checkpoint) -> MoEError {
    let tensors = checkpoint.tensors.tensorNames.filter { name in
      ["expert", "router", "gate", "moe", "exps"].contains { name.contains($0) }
    }
    return .unknownFamily(
      model: model, keys: keys.filter { key in ["expert", "moe", "top", "router", "gate"].contains { key.contains($0) } }.sorted(),
      tensors: tensors.sorted())
  }

  /// What a block's path may begin with.
  private static let outerPrefixes: Set<String> = [
    "", "model.", "language_model.", "language_model.model.", "model.language_model.", "model.language_model.model.", "thinker.model.",
    "backbone.", "transformer.", "model.decoder.",
  ]

  /// Blocks whose router is in the checkpoint, by stack and layer.
  private static func blocks(of family: Family, in names: [String], layers: Int) -> [MoEBlock] {
    var found: [(stack: Int, block: MoEBlock)] = []
    for name in names {
      guard let router = family.routerNames.weight.first(where: { name.hasSuffix(".\($0)") }) else { continue }
      let prefix = String(name.dropLast(router.count + 1))
      for (stack, pattern) in family.blocks.enumerated() {
        guard let layer = layer(of: prefix, pattern), layer < layers else { continue }
        found.append((stack, MoEBlock(layer: layer, prefix: prefix)))
        break
      }
    }
    found.sort { ($0.stack, $0.block.layer, $0.block.prefix.count) < ($1.stack, $1.block.layer, $1.block.prefix.count) }
    return found.map(\.block)
  }

  /// The layer of a path that is an outer prefix, then `pattern` with a number for `{layer}`.
  private static func layer(of prefix: String, _ pattern: String) -> Int? {
    let parts = pattern.components(around: "{layer}")
    guard prefix.hasSuffix(parts.after) else { return nil }
    let head = prefix.dropLast(parts.after.count)
    let digits = head.reversed().prefix { $0.isASCII && $0.isNumber }.reversed()
    guard !digits.isEmpty, digits.count <= 6, let layer = Int(String(digits)) else { return nil }
    let front = head.dropLast(digits.count)
    guard front.hasSuffix(parts.before), outerPrefixes.contains(String(front.dropLast(parts.before.count))) else { return nil }
    return layer
  }

  /// The block of a layer; the first stack's where encoder and decoder both have one.
  ///
  /// - Throws: `MoEError.noSuchLayer` naming what there is.
  public func block(layer: Int) throws(MoEError) -> MoEBlock {
    guard let block = blocks.first(where: { $0.layer == layer }) else {
      throw .noSuchLayer("\(layer)", found: blocks.map { "\($0.layer)" })
    }
    return block
  }

  /// The block with this tensor prefix.
  ///
  /// - Throws: `MoEError.noSuchLayer` naming what there is.
  public func block(prefix: String) throws(MoEError) -> MoEBlock {
    guard let block = blocks.first(where: { $0.prefix == prefix }) else {
      throw .noSuchLayer("'\(prefix)'", found: blocks.map(\.prefix))
    }
    return block
  }
}

extension String {
  /// The text before and after the only occurrence of `part`.
  func components(around part: String) -> (before: String, after: String) {
    var index = startIndex
    while index < endIndex {
      if self[index...].hasPrefix(part) { return (String(self[..<index]), String(self[self.index(index, offsetBy: part.count)...])) }
      index = self.index(after: index)
    }
    return (self, "")
  }

  func replacing(_ part: String, with text: String) -> String {
    let parts = components(around: part)
    return count == parts.before.count ? self : parts.before + text + parts.after
  }

  /// This name below `block`; a leading `../` names a sibling of the block.
  func below(_ block: String) -> String {
    guard hasPrefix("../") else { return "\(block).\(self)" }
    let parent = block.split(separator: ".").dropLast().joined(separator: ".")
    return String(dropFirst(3)).below(parent)
  }
}
