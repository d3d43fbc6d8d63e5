// A safetensors checkpoint in many files under one index.

public import MoETensors

/// The shards that a `model.safetensors.index.json` names, as one source of tensors.
///
/// Every shard is opened once, with all checks of `SafetensorsFile`; tensors of a shard that the index does not name are not shown.
public final class ShardedSafetensors: TensorSource {
  /// Names of all tensors of all shards.
  public let tensorNames: [String]
  /// The shards' paths in the order of the file names.
  public let shardPaths: [String]
  private let indexPath: String
  private let shards: [SafetensorsFile]
  private let places: [String: Int]

  /// Opens the index at `indexPath`, or in the folder `indexPath`; a folder with a lone `model.safetensors` is a checkpoint of one shard.
  ///
  /// - Throws: `.missing` for a shard that is not there and for a tensor that is not in its shard, `.invalid` for a shard path that is
  ///   absolute or leads out of the folder, and every error of `SafetensorsFile` and `JSON`. Symbolic links are followed.
  public init(indexPath: String, mode: LoadMode = .mapped) throws(CheckpointError) {
    var path = indexPath
    if Paths.kind(of: path) == .folder {
      path = Paths.join(indexPath, "model.safetensors.index.json")
      let single = Paths.join(indexPath, "model.safetensors")
      if Paths.kind(of: path) == .nothing, Paths.kind(of: single) != .nothing {
        let file = try SafetensorsFile(path: single, mode: mode)
        self.indexPath = single
        shards = [file]
        shardPaths = [single]
        tensorNames = file.tensorNames
        places = Dictionary(tensorNames.map { ($0, 0) }, uniquingKeysWith: { first, _ in first })
        return
      }
    }
    let index = try ShardIndex(path: path)
    let folder = Paths.folder(of: path)
    var shards: [SafetensorsFile] = []
    for name in index.shards {
      let shard = Paths.join(folder, name)
      guard Paths.kind(of: shard) != .nothing else { throw .missing(file: path, item: name) }
      shards.append(try SafetensorsFile(path: shard, mode: mode))
    }
    var found = 0
    var names: [String] = []
    names.reserveCapacity(index.places.count)
    for (number, shard) in shards.enumerated() {
      for name in shard.tensorNames where index.places[name] == number {
        names.append(name)
        found += 1
      }
    }
    if found != index.places.count {
      let present = Set(names)
      // The least name, so that the error is the same at every run.
      let absent = index.places.keys.filter { !present.contains($0) }.min() ?? ""
      let shard = index.places[absent].map { shards[$0].path } ?? path
      throw .missing(file: shard, item: absent)
    }
    self.indexPath = path
    self.shards = shards
    shardPaths = shards.map(\.path)
    tensorNames = names
    places = index.places
  }

  /// Path of the index, container and counts, for messages.
  public var fileDescription: String { "\(indexPath) (safetensors, \(shards.count) shards, \(tensorNames.count) tensors)" }

  /// The tensor called `name`, nil when there is none; its bytes are borrowed from its shard.
  public func tensor(_ name: String) throws(CheckpointError) -> TensorView? {
    guard let place = places[name] else { return nil }
    return try shards[place].tensor(name)
  }
}
