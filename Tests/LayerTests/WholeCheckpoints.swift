// The whole checkpoints and GGUF files of Tests/Fixtures.

import Foundation
import MoE

enum WholeCheckpoints {
  /// Folders with a config.json and every GGUF file.
  static let paths: [String] = {
    let all = FileManager.default.enumerator(atPath: LayerFixture.root)!.compactMap { $0 as? String }.sorted()
    return all.compactMap { path in
      if path.hasSuffix("/config.json") { return "\(LayerFixture.root)/\(path.dropLast("/config.json".count))" }
      return path.hasSuffix(".gguf") ? "\(LayerFixture.root)/\(path)" : nil
    }
  }()

  /// A folder of Tests/Fixtures/checkpoints with another configuration.
  static func model(_ folder: String, _ edit: (inout [String: JSON]) -> Void) throws -> MoEModel {
    let checkpoint = try Checkpoint(path: "\(LayerFixture.root)/checkpoints/\(folder)")
    guard case .config(.object(var config)) = checkpoint.metadata else { throw MoEError.machine("no configuration") }
    edit(&config)
    return try MoEModel(Checkpoint(tensors: checkpoint.tensors, metadata: .config(.object(config)), path: folder))
  }
}
