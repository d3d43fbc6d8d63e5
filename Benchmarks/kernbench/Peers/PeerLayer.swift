// A layer that peers compute too: ours in panels, its published blocks and decoded values in memory that they map.

import Foundation
import MoE

/// One preset with random weights in formats that GGUF has.
final class PeerLayer {
  let benchmark: LayerBenchmark
  let preset: Preset
  let formats: FormatPair
  /// Of every system.
  let threads: Int
  /// Values and published bytes of all matrices.
  let values: Int, publishedBytes: Int
  /// What drivers map, and what they need to know of it.
  let memory: SharedMemory, request: JSON

  /// - Parameters:
  ///   - activations: those of our kernels; nil for int8 or bfloat16 where a format has it, else float.
  ///   - withValues: whether a driver reads decoded values beside the blocks.
  /// - Throws: `Failure` for formats without a GGUF type, layers that peers cannot express, and weights beyond the memory.
  init(
    _ preset: Preset, _ formats: FormatPair, _ activations: ActivationPrecision?, machine: Machine, seed: UInt64, withValues: Bool
  ) throws {
    try Self.check(preset, formats)
    if let activations, !formats.hasKernel(on: activations, machine.kernels) {
      throw Failure("\(formats) has no kernel on \(activations.rawValue) activations")
    }
    // GPT-OSS's shape with the experts of the others: no biases, plain SwiGLU.
    var plain = preset
    if plain.family.hasBiases { plain.family = .qwen3 }
    (self.preset, self.formats, threads) = (plain, formats, machine.pool.threads)
    Progress.show("\(preset.name), \(formats): making weights")
    let synthetic = try SyntheticLayer(plain, formats, as: .gguf, withShared: false, seed: seed)
    try AvailableMemory.demand(2 * synthetic.byteCount, for: "\(preset.name), \(formats)")
    let checkpoint = try synthetic.checkpoint(machine.pool, path: preset.name), model = try MoEModel(checkpoint)
    let views = try ["gate", "up", "down"].map { role in
      guard let view = try checkpoint.tensors.tensor("blk.0.ffn_\(role)_exps.weight") else { throw Failure("\(preset.name): no \(role) matrices") }
      return view
    }
    let configuration = try model.configuration(of: model.blocks[0]), weights = try model.weights(of: model.blocks[0], kernels: machine.kernels)
    let places = Places(views, withValues: withValues)
    try Self.demand(places.byteCount, for: "\(preset.name), \(formats): the weights that peers map")
    memory = try SharedMemory(byteCount: places.byteCount)
    for (view, offset) in zip(views, places.blocks) { (memory.base + offset).copyMemory(from: view.bytes.baseAddress!, byteCount: view.bytes.count) }
    for (offset, matrix) in zip(places.values, [\Expert.gate, \Expert.up.optional, \Expert.down.optional]) {
      weights.experts.decode(matrix, into: memory.floats(at: offset), machine.pool)
    }
    (values, publishedBytes) = (views.reduce(0) { $0 + $1.count }, views.reduce(0) { $0 + $1.bytes.count })
    request = Self.request(plain, formats, threads: threads, views, places)
    benchmark = try LayerBenchmark(
      name: preset.name, configuration: configuration, weights: weights, machine: machine, device: .cpu,
      activations: activations ?? [.int8, .bfloat16].first { formats.hasKernel(on: $0, machine.kernels) } ?? .float, layout: nil, seed: seed)
  }

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

  /// - Throws: `Failure` when `bytes` would leave less than an eighth of what is there.
  static func demand(_ bytes: Int, for name: String) throws {
    let available = AvailableMemory.bytes
    guard bytes <= available - available / 8 else { throw Failure("\(name): \(binary(bytes)) are too many for the \(binary(available)) available") }
  }

  private static func request(_ preset: Preset, _ formats: FormatPair, threads: Int, _ views: [TensorView], _ places: Places) -> JSON {
    let each = [formats.gateUp, formats.gateUp, formats.down]
    return .object([
      "do": .string("load"), "hidden": .integer(preset.hidden), "intermediate": .integer(preset.intermediate), "experts": .integer(preset.experts),
      "topK": .integer(preset.topK), "threads": .integer(threads), "formats": .array(each.map { .string($0.name) }),
      "ggufTypes": .array(each.map { .integer(Int($0.ggufType ?? 0)) }),
      "blocks": .array(zip(views, places.blocks).map { .array([.integer($1), .integer($0.bytes.count)]) }),
      "values": .array(places.values.map(JSON.integer)),
    ])
  }

  /// Byte offsets of gate, up and down: published blocks, then decoded values if wanted.
  private struct Places {
    private(set) var blocks: [Int] = [], values: [Int] = [], byteCount = 0

    init(_ views: [TensorView], withValues: Bool) {
      for view in views { blocks.append(take(view.bytes.count)) }
      for view in views where withValues { values.append(take(4 * view.count)) }
    }

    private mutating func take(_ bytes: Int) -> Int {
      let offset = (byteCount + 63) & ~63
      byteCount = offset + bytes
      return offset
    }
  }
}

extension ExpertBank {
  /// One matrix of every expert, expert after expert, each task a part of its own.
  fileprivate func decode(_ matrix: KeyPath<Expert, PackedMatrix?>, into target: UnsafeMutablePointer<Float>, _ pool: WorkerPool) {
    pool.run(tasks: experts.count) { expert, _ in
      guard let matrix = experts[expert][keyPath: matrix] else { return }
      let values = matrix.decoded()
      (target + expert * values.count).update(from: values, count: values.count)
    }
  }
}

extension PackedMatrix {
  fileprivate var optional: PackedMatrix? { self }
}
