// A safetensors checkpoint in many files under one index.

public import MoETensors

/// The shards that a `model.safetensors.index.json` names, as one source of tensors.
///
/// Every shard is opened once, with all checks of `SafetensorsFile`; tensors of a shard that the index does not name are not shown.
public final class ShardedSafetensors: TensorSource {
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

  public var fileDescription: String { "\(indexPath) (safetensors, \(shards.count) shards, \(tensorNames.count) tensors)" }

  public func tensor(_ name: String) throws(CheckpointError) -> TensorView? {
    guard let place = places[name] else { return nil }
    return try shards[place].tensor(name)
  }
}

/// The `weight_map` of an index file.
struct ShardIndex {
  /// Shard names, sorted, relative to the index file's folder.
  private(set) var shards: [String] = []
  /// The shard, by place in `shards`, of each tensor.
  private(set) var places: [String: Int] = [:]

  init(path: String) throws(CheckpointError) {
    let limits = JSON.Limits(values: 1 << 21, bytes: CheckpointLimits.headerBytes, allowsNonFinite: true)
    let file = try FileBytes(path: path, mode: .copied, limit: limits.bytes)
    var reader = JSONReader(bytes: file.bytes, file: path, limits: limits)
    var seen: Set<String> = []
    try reader.beginObject()
    while true {
      let start = reader.offset
      guard let key = try reader.nextKey() else { break }
      guard seen.insert(key).inserted else { throw .duplicate(file: path, item: key, offset: start) }
      if key == "weight_map" { try readMap(&reader) } else { _ = try reader.value() }
    }
    try reader.end()
    withExtendedLifetime(file) {}
    guard seen.contains("weight_map") else { throw .missing(file: path, item: "weight_map") }
    let order = shards.indices.sorted { shards[$0] < shards[$1] }
    var ranks = [Int](repeating: 0, count: order.count)
    for (rank, place) in order.enumerated() { ranks[place] = rank }
    shards = order.map { shards[$0] }
    places = places.mapValues { ranks[$0] }
  }

  private mutating func readMap(_ reader: inout JSONReader) throws(CheckpointError) {
    var numbers: [String: Int] = [:]
    try reader.beginObject()
    while true {
      let start = reader.offset
      guard let tensor = try reader.nextKey() else { return }
      let shard = try reader.string()
      guard Paths.staysInside(shard) else {
        throw .invalid(
          file: reader.file, item: tensor, offset: start, expected: "a shard inside the index file's folder", found: "'\(shard)'")
      }
      guard !tensor.isEmpty else {
        throw .invalid(file: reader.file, item: "weight_map", offset: start, expected: "a name", found: "an empty one")
      }
      if numbers[shard] == nil {
        numbers[shard] = shards.count
        shards.append(shard)
      }
      guard places.updateValue(numbers[shard] ?? 0, forKey: tensor) == nil else {
        throw .duplicate(file: reader.file, item: tensor, offset: start)
      }
      guard places.count <= CheckpointLimits.tensors else {
        throw .limit(
          file: reader.file, item: "weight_map", offset: start, limit: CheckpointLimits.tensors, found: UInt64(places.count))
      }
    }
  }
}
