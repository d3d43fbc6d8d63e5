// How the tensors of a sharded checkpoint are shared out among its files.

/// Which tensors go to which shard.
struct ShardPlan: Sendable {
  private(set) var ranges: [Range<Int>] = []
  let names: [String]
  /// The index file's content.
  let index: JSON

  init(_ tensors: [TensorDeclaration], folder: String, maximumShardBytes: Int) throws(CheckpointError) {
    var start = 0
    var filled = CheckedSize.zero
    var total = CheckedSize.zero
    var seen: Set<String> = []
    for (number, tensor) in tensors.enumerated() {
      guard seen.insert(tensor.name).inserted else { throw .duplicate(file: folder, item: tensor.name, offset: 0) }
      let size = try tensor.byteCount(file: folder)
      guard let sum = total.plus(size), let bytes = filled.plus(size) else {
        throw .overflow(file: folder, item: tensor.name, offset: 0)
      }
      total = sum
      // A tensor without bytes never starts a shard, so that each has bytes to wait for.
      if bytes.value > maximumShardBytes, filled.value > 0, size.value > 0 {
        ranges.append(start..<number)
        start = number
        filled = size
      } else {
        filled = bytes
      }
    }
    ranges.append(start..<tensors.count)
    let count = ranges.count
    names = count == 1
      ? ["model.safetensors"]
      : (0..<count).map { "model" + GGUFSplit.suffix($0, of: count).dropLast(5) + ".safetensors" }
    var map: [String: JSON] = [:]
    for (shard, range) in zip(names, ranges) {
      for tensor in tensors[range] { map[tensor.name] = .string(shard) }
    }
    index = .object(["metadata": .object(["total_size": .integer(total.value)]), "weight_map": .object(map)])
  }
}
