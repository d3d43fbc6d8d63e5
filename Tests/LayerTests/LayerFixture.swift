// The layer cases of Tests/Fixtures, opened through the public interface.

import Foundation
import MoE
import Testing

/// One safetensors file with a layer, its input and its reference.
struct LayerFixture: Sendable, CustomTestStringConvertible {
  let path: String
  var name: String { String(path.split(separator: "/").last!.dropLast(".safetensors".count)) }
  var testDescription: String { name }

  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Fixtures").path

  /// Every layer case by path, or one in twelve where `MOE_SWEEP=small` asks for what a sanitizer has time for.
  static let all = ProcessInfo.processInfo.environment["MOE_SWEEP"] == "small" ? stride(from: 0, to: found.count, by: 12).map { found[$0] } : found

  static let found: [LayerFixture] = {
    let paths = FileManager.default.enumerator(atPath: root)!.compactMap { $0 as? String }.filter { $0.hasSuffix(".safetensors") }.sorted()
    return paths.compactMap { path in
      guard let file = try? SafetensorsFile(path: "\(root)/\(path)"), file.tensorNames.contains("io.hidden_states"),
        let spec = file.metadata["spec"], (try? JSON(parsing: spec))?["hf_config"] != nil
      else { return nil }
      return LayerFixture(path: "\(root)/\(path)")
    }
  }()

  static func named(_ name: String) throws -> LayerFixture { try #require(found.first { $0.name == name }) }

  /// Machines of several numbers of threads, shared by all tests.
  static let machines: [Machine] = [1, 2, 3, 4, 7, 8].map { try! .current(threads: $0) }
  static var machine: Machine { machines[1] }

  func spec() throws -> JSON {
    let text = try #require(try SafetensorsFile(path: path).metadata["spec"])
    return try JSON(parsing: text)
  }

  /// The configuration as the reference wrote it, quantization in its published words.
  func config() throws -> [String: JSON] {
    let spec = try spec()
    var config = try #require(spec["hf_config"]?.object)
    if var quantization = spec["quantization"]?.object {
      quantization["quant_method"] = quantization["method"]
      quantization["weight_block_size"] = quantization["block"]
      config["quantization_config"] = .object(quantization)
    }
    return config
  }

  /// The model, after `edit` of its configuration and with `edits` of its tensors.
  func model(_ edits: TensorEdits = .init(), _ edit: (inout [String: JSON]) -> Void = { _ in }) throws -> MoEModel {
    var config = try config()
    edit(&config)
    let tensors = EditedTensors(file: try SafetensorsFile(path: path), edits: edits)
    return try MoEModel(Checkpoint(tensors: tensors, metadata: .config(.object(config)), path: path))
  }

  func prefix() throws -> String {
    try #require(try spec()["checkpoint_prefix"]?.string)
  }

  func layer(
    on machine: Machine = machine, device: MoELayer.Device = .cpu, activations: ActivationPrecision = .float,
    layout: WeightLayout? = nil, _ edits: TensorEdits = .init(),
    _ edit: (inout [String: JSON]) -> Void = { _ in }
  ) throws -> MoELayer {
    let model = try model(edits, edit)
    return try MoELayer(model, block: model.block(prefix: prefix()), on: machine, device: device, activations: activations, layout: layout)
  }

  /// The reference's input, and the tokens of each of its sequences.
  func input() throws -> (states: HiddenStates, sequences: [Int]) {
    let view = try #require(try SafetensorsFile(path: path).tensor("io.hidden_states"))
    let hidden = view.shape.last!, tokens = view.count / hidden
    return (try HiddenStates(view.floats(), tokens: tokens, hidden: hidden), view.shape.count == 3 ? .init(repeating: view.shape[1], count: view.shape[0]) : [tokens])
  }
}

/// Tensors taken out of a checkpoint, or put in place of its own.
struct TensorEdits: Sendable {
  var removed: Set<String> = []
  var replaced: [String: TensorView] = [:]
}

/// A file with edits.
struct EditedTensors: TensorSource {
  let file: SafetensorsFile
  let edits: TensorEdits
  var tensorNames: [String] { file.tensorNames.filter { !edits.removed.contains($0) } }
  func tensor(_ name: String) throws(CheckpointError) -> TensorView? {
    if edits.removed.contains(name) { return nil }
    if let view = edits.replaced[name] { return view }
    return try file.tensor(name)
  }
  var fileDescription: String { file.fileDescription }
}

extension TensorView {
  /// Zeros of a type and shape.
  static func zeros(_ name: String, _ type: ElementType, _ shape: [Int]) throws -> TensorView {
    let buffer = AlignedBuffer.zeroed(byteCount: max(1, try byteCount(name: name, type: type, shape: shape)))
    return try TensorView(
      name: name, type: type, shape: shape,
      bytes: UnsafeRawBufferPointer(rebasing: buffer.bytes[..<byteCount(name: name, type: type, shape: shape)]), owner: buffer)
  }
}

extension MoELayer {
  /// True when no token of a batch can see another.
  var isPerToken: Bool {
    if case .productKeys = configuration.router.selection { return false }
    return configuration.router.capacity == nil
  }

  /// Bits of the output rows for f32 rows, in memory that starts as NaN.
  func bits(
    _ states: HiddenStates, routing: RouterOutput? = nil, sequences: [Int]? = nil, workspace: Workspace? = nil
  ) throws -> [[UInt32]] {
    var out = [Float](repeating: .nan, count: states.values.count)
    try states.values.withUnsafeBufferPointer { from in
      try out.withUnsafeMutableBufferPointer { to in
        _ = try forward(
          RowView(from.baseAddress!, count: states.tokens, columns: states.hidden),
          into: MutableRowView(to.baseAddress!, count: states.tokens, columns: states.hidden), routing: routing, sequenceLengths: sequences,
          workspace: workspace)
      }
    }
    return (0..<states.tokens).map { out[$0 * states.hidden..<($0 + 1) * states.hidden].map(\.bitPattern) }
  }
}

extension HiddenStates {
  /// The rows of `tokens` in that order.
  func rows(_ tokens: some Collection<Int>) throws -> HiddenStates {
    try HiddenStates(tokens.flatMap { Array(self[$0]) }, tokens: tokens.count, hidden: hidden)
  }

  /// The same with one row all `value`.
  func with(_ token: Int, _ value: Float) throws -> HiddenStates {
    var values = values
    for column in 0..<hidden { values[token * hidden + column] = value }
    return try HiddenStates(values, tokens: tokens, hidden: hidden)
  }
}
