// `kernbench synth`: a full-size layer with seeded weights, as a checkpoint.

import ArgumentParser
import Foundation
import MoE

struct Synth: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Writes a full-size layer with random weights as a checkpoint under its published tensor names.")

  @Option(help: "A preset, or hidden=..,intermediate=..,experts=..,topK=..") var layer: String
  @Option(help: "FORMAT or GATEUP/DOWN.") var format: String
  @Argument(help: "A file ending in .gguf, or a folder for sharded safetensors.") var out: String
  @Option(parsing: .unconditional, help: "Fewer experts than the preset has.") var experts: Int?
  @Option(help: "Seed of the weights.") var seed: UInt64 = 1
  @Option(parsing: .unconditional, help: "Bytes of tensors in one safetensors file.") var shardBytes = 5_000_000_000

  func run() throws {
    let preset = try Preset(layer).shrunk(to: experts), formats = try FormatPair(format)
    guard shardBytes > 0 else { throw Failure("--shard-bytes \(shardBytes): expected a positive number") }
    let container = out.hasSuffix(".gguf") ? Container.gguf : .safetensors
    let synthetic = try SyntheticLayer(preset, formats, as: container, withShared: true, seed: seed)
    try demandRoom(for: try synthetic.byteCount)
    try Interrupts.held {
      switch container {
      case .gguf: try writeGGUF(synthetic)
      case .safetensors: try writeFolder(synthetic)
      }
    }
    Progress.clear()
    print("\(out): \(preset.name), \(formats), \(synthetic.tensors.count) tensors, \(binary(try synthetic.byteCount)), seed \(seed)")
  }

  /// Refuses what the disk cannot hold before the writing finds out; a disk that does not say is tried.
  private func demandRoom(for bytes: Int) throws {
    let folder = URL(fileURLWithPath: out).deletingLastPathComponent().path
    guard let free = (try? FileManager.default.attributesOfFileSystem(forPath: folder))?[.systemFreeSize] as? NSNumber else { return }
    guard bytes <= free.int64Value else { throw Failure("\(out): \(binary(bytes)) to write, \(binary(Int(free.int64Value))) free") }
  }

  private func writeGGUF(_ layer: SyntheticLayer) throws {
    guard case .gguf(let metadata) = layer.metadata else { return }
    var writer = try GGUFWriter(path: out, tensors: layer.tensors.map(\.declaration), metadata: metadata)
    try write(layer) { try writer.append($0) }
    try writer.finish()
  }

  private func writeFolder(_ layer: SyntheticLayer) throws {
    guard case .config(let config) = layer.metadata else { return }
    let wasThere = FileManager.default.fileExists(atPath: out)
    do {
      var writer = try ShardedSafetensorsWriter(
        folder: out, tensors: layer.tensors.map(\.declaration), maximumShardBytes: shardBytes, config: config)
      try write(layer) { try writer.append($0) }
      try writer.finish()
    } catch {
      // The writer has taken its files back; the folder goes too when it is ours and empty.
      if !wasThere { rmdir(out) }
      throw error
    }
  }

  private func write(_ layer: SyntheticLayer, _ append: (UnsafeRawBufferPointer) throws -> Void) throws {
    let total = try layer.byteCount
    var done = 0
    for tensor in layer.tensors {
      try tensor.forEachPiece { piece in
        try Interrupts.check()
        try append(piece)
        done += piece.count
        Progress.show("\(binary(done)) of \(binary(total)): \(tensor.declaration.name)")
      }
    }
  }
}
