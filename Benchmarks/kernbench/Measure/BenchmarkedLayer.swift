// What a row's weights come from: a preset with random weights, or a layer of a checkpoint.

import Foundation
import MoE

/// A layer to be measured, not yet in memory.
enum BenchmarkedLayer {
  case preset(Preset, FormatPair)
  case checkpoint(path: String, index: Int?)

  /// Weights and configuration, and the name that rows carry.
  ///
  /// - Throws: `Failure` when the weights are more than half of the available memory.
  func load(_ machine: Machine, seed: UInt64) throws -> (name: String, configuration: MoEConfiguration, weights: LayerWeights) {
    switch self {
    case .preset(let preset, let formats):
      Progress.show("\(preset.name), \(formats): making weights")
      let synthetic = try SyntheticLayer(preset, formats, as: SyntheticLayer.container(for: formats), withShared: false, seed: seed)
      try AvailableMemory.demand(synthetic.byteCount, for: "\(preset.name), \(formats)")
      let model = try MoEModel(synthetic.checkpoint(machine.pool, path: preset.name))
      return (preset.name, try model.configuration(of: model.blocks[0]), try model.weights(of: model.blocks[0], kernels: machine.kernels))
    case .checkpoint(let path, let index):
      let model = try MoEModel(Checkpoint(path: path))
      guard let first = model.blocks.first else { throw Failure("\(path): no MoE layer") }
      let block = try index.map(model.block(layer:)) ?? first
      let weights = try model.weights(of: block, kernels: machine.kernels)
      try AvailableMemory.demand(weights.residentBytes, for: path)
      let file = path.split(separator: "/").last.map(String.init) ?? path
      return ("\(file):\(block.layer)", try model.configuration(of: block), weights)
    }
  }

  /// What can be said to be wrong before anything is loaded.
  func check() throws {
    guard case .preset(let preset, let formats) = self else { return }
    try formats.check(preset)
    let values = preset.experts * preset.hidden * preset.intermediate
    let bytes = Double(values) * (2 * formats.gateUp.bytesPerValue + formats.down.bytesPerValue)
    try AvailableMemory.demand(Int(min(bytes, 0x1p62)), for: "\(preset.name), \(formats)")
  }

  /// Layers of the command line: names, shapes and paths, separated by commas.
  static func list(_ text: String, formats: [FormatPair]?, experts: Int?, index: Int?) throws -> [BenchmarkedLayer] {
    var names: [String] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false).map(String.init) {
      // `key=value` goes on with the shape before it until a key comes again.
      let key = part.prefix { $0 != "=" } + "="
      if part.contains("="), let last = names.last, last.contains("="), !",\(last)".contains(",\(key)") {
        names[names.count - 1] += "," + part
      } else {
        names.append(part)
      }
    }
    return try names.flatMap { name -> [BenchmarkedLayer] in
      if !name.contains("="), !Preset.all.contains(where: { $0.name == name }), name.contains("/") || FileManager.default.fileExists(atPath: name) {
        guard formats == nil else { throw Failure("\(name): a checkpoint has formats of its own; leave --format out") }
        guard experts == nil else { throw Failure("\(name): --experts shrinks presets, not checkpoints") }
        return [.checkpoint(path: name, index: index)]
      }
      guard index == nil else { throw Failure("--index goes with the path of a checkpoint, not with '\(name)'") }
      let preset = try Preset(name).shrunk(to: experts)
      guard let formats else { throw Failure("\(name): --format is missing") }
      return formats.map { .preset(preset, $0) }
    }
  }
}

extension WeightFormat {
  fileprivate var bytesPerValue: Double { Double(blockBytes) / Double(blockValues) }
}
