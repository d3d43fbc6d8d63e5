// A checkpoint as found on disk: tensors and the configuration beside them.

public import MoETensors

/// A model's tensors with its metadata, from any supported container.
public final class Checkpoint: Sendable {
  /// What describes the model.
  public enum Metadata: Sendable, Equatable {
    /// The `config.json` of a safetensors checkpoint.
    case config(JSON)
    /// The keys of a GGUF file.
    case gguf([String: GGUFValue])
    /// Tensors without a description.
    case none
  }

  /// The configuration or keys that came with the tensors.
  public let metadata: Metadata
  /// The tensors by name, whatever the container.
  public let tensors: any TensorSource
  /// The path as given.
  public let path: String

  /// Opens a checkpoint. `path` is one of
  /// - a `.gguf` file, or the first of a split set;
  /// - a `.safetensors` file, with the `config.json` beside it if there is one;
  /// - a `.safetensors.index.json` file, likewise;
  /// - a folder with `model.safetensors` or `model.safetensors.index.json` (the single file wins, as in `transformers`), and `config.json`;
  /// - a folder that holds exactly one `.gguf` file or one split set.
  ///
  /// - Throws: `.missing` or `.unsupported` when none of these is there, `.invalid` for a folder with several GGUF models, and
  ///   every error of the readers.
  public convenience init(path: String, mode: LoadMode = .mapped) throws(CheckpointError) {
    let found = try Self.locate(path)
    switch found {
    case .gguf(let file):
      let tensors = try GGUFFile(path: file, mode: mode)
      self.init(tensors: tensors, metadata: .gguf(tensors.metadata), path: path)
    case .safetensors(let file):
      let tensors = try SafetensorsFile(path: file, mode: mode)
      self.init(tensors: tensors, metadata: try Self.config(beside: file), path: path)
    case .sharded(let index):
      let tensors = try ShardedSafetensors(indexPath: index, mode: mode)
      self.init(tensors: tensors, metadata: try Self.config(beside: index), path: path)
    }
  }

  /// A checkpoint put together in memory; `path` is what messages name.
  public init(tensors: any TensorSource, metadata: Metadata, path: String) {
    self.tensors = tensors
    self.metadata = metadata
    self.path = path
  }

  /// The tensor called `name`.
  ///
  /// - Throws: `.missing` when there is none.
  public func tensor(_ name: String) throws(CheckpointError) -> TensorView {
    guard let tensor = try tensors.tensor(name) else { throw .missing(file: path, item: name) }
    return tensor
  }

  private enum Found { case gguf(String), safetensors(String), sharded(String) }

  private static func locate(_ path: String) throws(CheckpointError) -> Found {
    guard Paths.kind(of: path) == .folder else {
      if path.hasSuffix(".safetensors") { return .safetensors(path) }
      if path.hasSuffix(".safetensors.index.json") { return .sharded(path) }
      if path.hasSuffix(".gguf") { return .gguf(path) }
      // Caches name files by their hash: let the first bytes speak.
      let file = try FileBytes(path: path, mode: .mapped)
      if file.bytes.starts(with: "GGUF".utf8) { return .gguf(path) }
      if file.bytes.count > 8, file.bytes[8] == UInt8(ascii: "{") { return .safetensors(path) }
      throw .unsupported(
        file: path, item: "file", offset: 0, expected: "GGUF or safetensors", found: "a file of neither name nor content")
    }
    let single = Paths.join(path, "model.safetensors")
    if Paths.kind(of: single) != .nothing { return .safetensors(single) }
    let index = Paths.join(path, "model.safetensors.index.json")
    if Paths.kind(of: index) != .nothing { return .sharded(index) }
    return .gguf(Paths.join(path, try onlyGGUF(in: path)))
  }

  /// The one GGUF file of a folder, or the first of its one split set.
  private static func onlyGGUF(in folder: String) throws(CheckpointError) -> String {
    let names = try Paths.list(folder).filter { $0.hasSuffix(".gguf") }
    // Later files of a set are no models of their own; the set's first file says whether all are there.
    let models = names.filter { (GGUFSplit.number(inName: $0) ?? 0) == 0 }
    guard let first = models.first ?? names.first else {
      throw .missing(file: folder, item: "model.safetensors, model.safetensors.index.json or a .gguf file")
    }
    guard models.count == 1 else {
      if models.isEmpty { throw .missing(file: folder, item: "the first file of the set of \(first)") }
      throw .invalid(
        file: folder, item: "folder", offset: 0, expected: "one GGUF model", found: models.joined(separator: ", "))
    }
    return first
  }

  private static func config(beside file: String) throws(CheckpointError) -> Metadata {
    let path = Paths.join(Paths.folder(of: file), "config.json")
    guard Paths.kind(of: path) != .nothing else { return .none }
    return .config(try JSON(path: path, limits: .config))
  }
}
