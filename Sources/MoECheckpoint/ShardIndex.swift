// The index file of a sharded checkpoint: which shard holds which tensor.

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
