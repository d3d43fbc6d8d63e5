// The header of one GGUF file: version, metadata, tensors.

internal import MoETensors

/// What stands before the tensor data of a GGUF file.
struct GGUFHeader {
  private(set) var version: UInt32 = 0
  /// Bytes that tensors are aligned to, from the start of the data.
  private(set) var alignment = 32
  private(set) var metadata: [String: GGUFValue] = [:]
  /// Offsets count from the start of the file.
  private(set) var table = TensorTable()

  init(_ file: FileBytes) throws(CheckpointError) {
    var cursor = GGUFCursor(bytes: file.bytes, file: file.path)
    try readStart(&cursor)
    // A tensor takes a name of one byte, the number of dimensions, type and offset; a pair a key of one byte, type and one byte.
    cursor.item = "number of tensors"
    let tensors = try cursor.count(limit: CheckpointLimits.tensors, bytesEach: 25)
    cursor.item = "number of keys"
    let keys = try cursor.count(limit: CheckpointLimits.keys, bytesEach: 14)
    try readMetadata(&cursor, count: keys)
    try readAlignment(&cursor)
    try readTensors(&cursor, count: tensors)
  }

  private mutating func readStart(_ cursor: inout GGUFCursor) throws(CheckpointError) {
    let magic: UInt32 = try cursor.number()
    guard magic == 0x4655_4747 else {
      throw cursor.invalid("'GGUF'", "bytes 0x\(String(magic.byteSwapped, radix: 16))", at: 0)
    }
    cursor.item = "version"
    version = try cursor.number()
    guard version == 2 || version == 3 else {
      let found = version & 0xFFFF == 0 && version != 0 ? "a big-endian file" : "version \(version)"
      throw .unsupported(file: cursor.file, item: "version", offset: 4, expected: "version 2 or 3, little-endian", found: found)
    }
  }

  private mutating func readMetadata(_ cursor: inout GGUFCursor, count: Int) throws(CheckpointError) {
    for index in 0..<count {
      cursor.item = "key \(index)"
      let start = cursor.offset
      let key = try cursor.string(limit: CheckpointLimits.keyBytes)
      guard !key.isEmpty else { throw cursor.invalid("a name", "an empty one", at: start) }
      cursor.item = key
      guard metadata.updateValue(try cursor.value(), forKey: key) == nil else {
        throw .duplicate(file: cursor.file, item: key, offset: start)
      }
    }
  }

  private mutating func readAlignment(_ cursor: inout GGUFCursor) throws(CheckpointError) {
    guard let value = metadata["general.alignment"] else { return }
    cursor.item = "general.alignment"
    guard case .u32(let number) = value else { throw cursor.invalid("UINT32", value.typeName) }
    guard number <= UInt32(CheckpointLimits.alignment) else {
      throw .limit(
        file: cursor.file, item: cursor.item, offset: cursor.offset, limit: CheckpointLimits.alignment, found: UInt64(number))
    }
    guard number > 0, number & (number - 1) == 0 else { throw cursor.invalid("a power of two", "\(number)") }
    alignment = Int(number)
  }

  /// A tensor's declaration before the start of the data is known.
  private struct Declared {
    let name: String
    let type: ElementType
    let shape: [Int]
    let offset: CheckedSize
    let byteCount: CheckedSize
    let header: Int
  }

  private mutating func readTensors(_ cursor: inout GGUFCursor, count: Int) throws(CheckpointError) {
    var declared: [Declared] = []
    declared.reserveCapacity(count)
    var types: [UInt32: ElementType] = [:]
    for index in 0..<count { declared.append(try tensor(&cursor, &types, index: index)) }
    cursor.item = "data"
    let start = try cursor.padded(to: alignment)
    let size = cursor.bytes.count
    table.reserve(declared.count)
    for tensor in declared {
      guard let place = start.plus(tensor.offset), let end = place.plus(tensor.byteCount) else {
        throw .overflow(file: cursor.file, item: tensor.name, offset: tensor.header)
      }
      guard end.value <= size else {
        throw .truncated(
          file: cursor.file, item: tensor.name, offset: place.value, expected: UInt64(tensor.byteCount.value),
          found: max(0, size - place.value))
      }
      let entry = TensorEntry(
        name: tensor.name, type: tensor.type, shape: tensor.shape, offset: place.value, byteCount: tensor.byteCount.value)
      try table.append(entry, file: cursor.file, header: tensor.header)
    }
    try table.sortByOffset(file: cursor.file, contiguousFrom: nil)
  }

  private func tensor(
    _ cursor: inout GGUFCursor, _ types: inout [UInt32: ElementType], index: Int
  ) throws(CheckpointError) -> Declared {
    let header = cursor.offset
    cursor.item = "tensor \(index)"
    let name = try cursor.string()
    cursor.item = name
    let rank: UInt32 = try cursor.number()
    guard rank <= UInt32(CheckpointLimits.ggufRank) else {
      throw .limit(file: cursor.file, item: name, offset: cursor.offset - 4, limit: CheckpointLimits.ggufRank, found: UInt64(rank))
    }
    // The file lists the innermost dimension first.
    var shape = [Int](repeating: 0, count: Int(rank))
    for dimension in shape.indices.reversed() {
      let length: UInt64 = try cursor.number()
      guard let size = CheckedSize(length) else { throw .overflow(file: cursor.file, item: name, offset: cursor.offset - 8) }
      shape[dimension] = size.value
    }
    let number: UInt32 = try cursor.number()
    guard let type = types[number] ?? ElementType(ggufType: number) else {
      throw .unknownType(
        file: cursor.file, item: name, offset: cursor.offset - 4, type: GGUFTensorTypes.describe(number))
    }
    types[number] = type
    let byteCount = try tensorByteCount(name: name, type: type, shape: shape, file: cursor.file, offset: header)
    let place = cursor.offset
    let offset: UInt64 = try cursor.number()
    guard offset % UInt64(alignment) == 0 else {
      throw cursor.invalid("an offset that is a multiple of \(alignment)", "\(offset)", at: place)
    }
    guard let offset = CheckedSize(offset) else { throw .overflow(file: cursor.file, item: name, offset: place) }
    return Declared(name: name, type: type, shape: shape, offset: offset, byteCount: byteCount, header: header)
  }
}
