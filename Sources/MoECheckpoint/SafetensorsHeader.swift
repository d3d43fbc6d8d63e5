// The header of a safetensors file, read in one pass without a tree.

internal import MoETensors

/// Metadata and tensors of a safetensors header.
struct SafetensorsHeader {
  var metadata: [String: String] = [:]
  var table = TensorTable()

  private static let limits = JSON.Limits(depth: 8, values: .max, bytes: CheckpointLimits.headerBytes)

  mutating func read(_ file: FileBytes) throws(CheckpointError) {
    let bytes = file.bytes
    let path = file.path
    guard bytes.count >= 8 else {
      throw .truncated(file: path, item: "header length", offset: 0, expected: 8, found: bytes.count)
    }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= UInt64(CheckpointLimits.headerBytes), let size = CheckedSize(length) else {
      throw .limit(file: path, item: "header", offset: 0, limit: CheckpointLimits.headerBytes, found: length)
    }
    guard size.value <= bytes.count - 8 else {
      throw .truncated(file: path, item: "header", offset: 8, expected: length, found: bytes.count - 8)
    }
    let header = UnsafeRawBufferPointer(rebasing: bytes[8..<8 + size.value])
    var reader = JSONReader(bytes: header, file: path, limits: Self.limits, base: 8)
    guard header.first == UInt8(ascii: "{") else { throw reader.wrong("'{' as the first byte") }
    try members(&reader, dataStart: 8 + size.value, dataCount: bytes.count - 8 - size.value)
    try reader.end()
    let start = 8 + size.value
    try table.sortByOffset(file: path, contiguousFrom: start)
    let end = table.entries.last.map { $0.offset + $0.byteCount } ?? start
    guard end == bytes.count else {
      throw .invalid(
        file: path, item: "data", offset: end, expected: "the end of the file", found: "\(bytes.count - end) bytes of no tensor")
    }
  }

  private mutating func members(_ reader: inout JSONReader, dataStart: Int, dataCount: Int) throws(CheckpointError) {
    // A name to type table of this file: the list of formats is searched once a type, not once a tensor.
    var types: [String: ElementType] = [:]
    var hasMetadata = false
    try reader.beginObject()
    while true {
      let start = reader.offset
      guard let name = try reader.nextKey() else { return }
      if name == "__metadata__" {
        guard !hasMetadata else { throw .duplicate(file: reader.file, item: name, offset: start) }
        hasMetadata = true
        try readMetadata(&reader)
        continue
      }
      let entry = try tensor(name, &reader, &types, start: start, dataStart: dataStart, dataCount: dataCount)
      try table.append(entry, file: reader.file, header: start)
    }
  }

  private mutating func readMetadata(_ reader: inout JSONReader) throws(CheckpointError) {
    try reader.beginObject()
    while true {
      let start = reader.offset
      guard let key = try reader.nextKey() else { return }
      guard metadata.updateValue(try reader.string(), forKey: key) == nil else {
        throw .duplicate(file: reader.file, item: key, offset: start)
      }
    }
  }

  private func tensor(
    _ name: String, _ reader: inout JSONReader, _ types: inout [String: ElementType], start: Int, dataStart: Int, dataCount: Int
  ) throws(CheckpointError) -> TensorEntry {
    let file = reader.file
    var typeName: String?
    var shape: [Int]?
    var offsets: (begin: CheckedSize, end: CheckedSize)?
    try reader.beginObject()
    while true {
      let place = reader.offset
      guard let key = try reader.nextKey() else { break }
      reader.item = name
      switch key {
      case "dtype" where typeName == nil: typeName = try reader.string()
      case "shape" where shape == nil: shape = try dimensions(&reader)
      case "data_offsets" where offsets == nil: offsets = try range(&reader)
      case "dtype", "shape", "data_offsets": throw .duplicate(file: file, item: "\(name).\(key)", offset: place)
      default:
        throw .invalid(file: file, item: name, offset: place, expected: "dtype, shape or data_offsets", found: "'\(key)'")
      }
    }
    guard let typeName, let shape, let offsets else {
      let absent = typeName == nil ? "dtype" : shape == nil ? "shape" : "data_offsets"
      throw .missing(file: file, item: "\(name).\(absent)")
    }
    guard let type = types[typeName] ?? ElementType(safetensorsType: typeName) else {
      throw .unknownType(file: file, item: name, offset: start, type: typeName)
    }
    types[typeName] = type
    let needed = try tensorByteCount(name: name, type: type, shape: shape, file: file, offset: start)
    guard offsets.begin <= offsets.end else {
      throw .invalid(
        file: file, item: name, offset: start, expected: "data_offsets in order",
        found: "[\(offsets.begin.value), \(offsets.end.value)]")
    }
    guard offsets.end.value <= dataCount else {
      throw .truncated(
        file: file, item: name, offset: start, expected: UInt64(offsets.end.value), found: dataCount)
    }
    guard offsets.end.value - offsets.begin.value == needed.value else {
      throw .invalid(
        file: file, item: name, offset: start, expected: "\(needed.value) bytes for \(type) of shape \(shape)",
        found: "\(offsets.end.value - offsets.begin.value)")
    }
    return TensorEntry(
      name: name, type: type, shape: shape, offset: dataStart + offsets.begin.value, byteCount: needed.value)
  }

  private func dimensions(_ reader: inout JSONReader) throws(CheckpointError) -> [Int] {
    let start = reader.offset
    var shape: [Int] = []
    try reader.beginArray()
    while try reader.nextElement() {
      guard shape.count < CheckpointLimits.rank else {
        throw .limit(
          file: reader.file, item: reader.item, offset: start, limit: CheckpointLimits.rank, found: UInt64(shape.count) + 1)
      }
      shape.append(try reader.size().value)
    }
    return shape
  }

  private func range(_ reader: inout JSONReader) throws(CheckpointError) -> (begin: CheckedSize, end: CheckedSize) {
    let start = reader.offset
    var ends: [CheckedSize] = []
    try reader.beginArray()
    while try reader.nextElement() {
      ends.append(try reader.size())
      if ends.count > 2 { break }
    }
    guard ends.count == 2 else {
      throw .invalid(
        file: reader.file, item: reader.item, offset: start, expected: "data_offsets of two numbers",
        found: ends.count > 2 ? "more" : "\(ends.count)")
    }
    return (ends[0], ends[1])
  }
}
