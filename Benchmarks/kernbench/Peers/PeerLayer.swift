// A layer that peers compute too: ours in panels, its published blocks and decoded values in memory that they map.

import Foundation
import MoE

/// One preset with random weights in formats that GGUF has.
final class PeerLayer {
  let benchmark: LayerBenchmark
  let preset: Preset
  let formats: FormatPair
  private let machine: Machine
  private let views: [TensorView]
  private let weights: LayerWeights
  private var files: [Bool: SharedMemory] = [:]

  /// - Throws: `Failure` for formats without a GGUF type, layers that peers cannot express, and weights beyond half of the memory.
  init(_ preset: Preset, _ formats: FormatPair, machine: Machine, seed: UInt64) throws {
    try Self.check(preset, formats)
    // GPT-OSS's shape with the experts of the others: no biases, plain SwiGLU.
    var plain = preset
    if plain.family.hasBiases { plain.family = .qwen3 }
    (self.preset, self.formats, self.machine) = (plain, formats, machine)
    Progress.show("\(preset.name), \(formats): making weights")
    let synthetic = try SyntheticLayer(plain, formats, as: .gguf, withShared: false, seed: seed)
    try AvailableMemory.demand(2 * synthetic.byteCount, for: "\(preset.name), \(formats)")
    let checkpoint = try synthetic.checkpoint(machine.pool, path: preset.name)
    let model = try MoEModel(checkpoint)
    views = try Self.roles.map { role in
      guard let view = try checkpoint.tensors.tensor("blk.0.ffn_\(role)_exps.weight") else { throw Failure("\(preset.name): no \(role) matrices") }
      return view
    }
    let configuration = try model.configuration(of: model.blocks[0])
    weights = try model.weights(of: model.blocks[0], kernels: machine.kernels)
    let hasInt8 = [formats.gateUp, formats.down].contains { machine.kernels.int8GEMMName($0) != nil }
    benchmark = try LayerBenchmark(
      name: preset.name, configuration: configuration, weights: weights, machine: machine, device: .cpu, activations: hasInt8 ? .int8 : .float,
      layout: nil, seed: seed)
  }

  private static let roles = ["gate", "up", "down"]

  /// What can be said to be wrong before anything is made.
  static func check(_ preset: Preset, _ formats: FormatPair) throws {
    try BenchmarkedLayer.preset(preset, formats).check()
    for format in [formats.gateUp, formats.down] where format.ggufType == nil {
      throw Failure("\(format): peers get the published blocks of GGUF, which has no such type")
    }
    if ["llama4_text", "deepseek_v3"].contains(preset.family.modelType) {
      throw Failure("\(preset.name): its routing weights are no shares of a softmax on the experts' outputs, which is what all peers can take")
    }
  }

  var threads: Int { machine.pool.threads }
  /// Values of all matrices.
  var values: Int { views.reduce(0) { $0 + $1.count } }
  var publishedBytes: Int { views.reduce(0) { $0 + $1.bytes.count } }

  /// The memory with the matrices, made at the first call, and what a driver needs to know of them.
  ///
  /// - Throws: `Failure` when they are more than the memory holds.
  func handed(withValues: Bool) throws -> (memory: SharedMemory, request: JSON) {
    let memory = try files[withValues] ?? fill(withValues: withValues)
    files[withValues] = memory
    var blocks: [JSON] = [], decoded: [JSON] = [], offset = 0
    for view in views {
      blocks.append(.array([.integer(offset), .integer(view.bytes.count)]))
      offset = Self.aligned(offset + view.bytes.count)
    }
    for view in views where withValues {
      decoded.append(.integer(offset))
      offset = Self.aligned(offset + view.count * 4)
    }
    let names = [formats.gateUp, formats.gateUp, formats.down]
    return (memory, .object([
      "hidden": .integer(preset.hidden), "intermediate": .integer(preset.intermediate), "experts": .integer(preset.experts),
      "topK": .integer(preset.topK), "threads": .integer(machine.pool.threads), "formats": .array(names.map { .string($0.name) }),
      "ggufTypes": .array(names.map { .integer(Int($0.ggufType ?? 0)) }), "blocks": .array(blocks), "values": .array(decoded),
    ]))
  }

  private func fill(withValues: Bool) throws -> SharedMemory {
    let bytes = Self.aligned(publishedBytes) + (withValues ? 4 * values : 0) + 6 * 64
    try Self.demand(bytes, for: "the weights in files")
    files = [:]
    let memory = try SharedMemory(byteCount: bytes)
    var offset = 0
    for view in views {
      (memory.base + offset).copyMemory(from: view.bytes.baseAddress!, byteCount: view.bytes.count)
      offset = Self.aligned(offset + view.bytes.count)
    }
    guard withValues else { return memory }
    for (view, matrix) in zip(views, [\Expert.gate, \Expert.up.optional, \Expert.down.optional]) {
      let target = Target(values: memory.floats(at: offset)), experts = weights.experts.experts
      machine.pool.run(tasks: experts.count) { expert, _ in
        guard let matrix = experts[expert][keyPath: matrix] else { return }
        let values = matrix.decoded()
        (target.values + expert * values.count).update(from: values, count: values.count)
      }
      offset = Self.aligned(offset + view.count * 4)
    }
    return memory
  }

  /// - Throws: `Failure` when `bytes` would leave less than an eighth of what is there.
  static func demand(_ bytes: Int, for name: String) throws {
    let available = AvailableMemory.bytes
    guard bytes <= available - available / 8 else { throw Failure("\(name): \(binary(bytes)) are too many for the \(binary(available)) available") }
  }

  private static func aligned(_ offset: Int) -> Int { (offset + 63) & ~63 }
}

/// Where tasks write; each a part of its own.
private struct Target: @unchecked Sendable {
  let values: UnsafeMutablePointer<Float>
}

extension PackedMatrix {
  fileprivate var optional: PackedMatrix? { self }
}
