// The tensors a header declares, found by name.

internal import MoETensors

/// One tensor of a header; type, shape and byte count agree, the bytes lie inside the file.
struct TensorEntry: Sendable {
  let name: String
  let type: ElementType
  /// Outermost first.
  let shape: [Int]
  /// From the start of the file.
  let offset: Int
  let byteCount: Int

  func view(in file: FileBytes) throws(CheckpointError) -> TensorView {
    let bytes = UnsafeRawBufferPointer(rebasing: file.bytes[offset..<offset + byteCount])
    do {
      return try TensorView(name: name, type: type, shape: shape, bytes: bytes, owner: file)
    } catch {
      throw .invalid(file: file.path, item: name, offset: offset, expected: "a tensor of \(byteCount) bytes", found: error.reason)
    }
  }
}

/// Entries with unique, non-empty names.
struct TensorTable: Sendable {
  private(set) var entries: [TensorEntry] = []
  private var places: [String: Int] = [:]

  subscript(name: String) -> TensorEntry? { places[name].map { entries[$0] } }

  /// Appends an entry whose header starts at `header`.
  ///
  /// - Throws: `.duplicate`, `.invalid` for an empty name, `.limit`.
  mutating func append(_ entry: TensorEntry, file: String, header: Int) throws(CheckpointError) {
    guard !entry.name.isEmpty else {
      throw .invalid(file: file, item: "tensor \(entries.count)", offset: header, expected: "a name", found: "an empty one")
    }
    guard entries.count < CheckpointLimits.tensors else {
      throw .limit(
        file: file, item: "tensors", offset: header, limit: CheckpointLimits.tensors, found: UInt64(entries.count) + 1)
    }
    guard places.updateValue(entries.count, forKey: entry.name) == nil else {
      throw .duplicate(file: file, item: entry.name, offset: header)
    }
    entries.append(entry)
  }

  /// Sorts by offset, stably, and demands that no two tensors share a byte.
  mutating func sortByOffset(file: String, contiguousFrom start: Int?) throws(CheckpointError) {
    let sorted = zip(entries, entries.dropFirst()).allSatisfy { $0.offset + $0.byteCount <= $1.offset }
    if !sorted {
      entries = entries.enumerated().sorted {
        ($0.element.offset, $0.element.byteCount, $0.offset) < ($1.element.offset, $1.element.byteCount, $1.offset)
      }.map(\.element)
      for (index, entry) in entries.enumerated() { places[entry.name] = index }
    }
    var end = start ?? 0
    for entry in entries {
      if entry.offset < end {
        throw .invalid(
          file: file, item: entry.name, offset: entry.offset, expected: "a tensor from byte \(end) on",
          found: "one overlapping the tensor before")
      }
      if start != nil, entry.offset > end {
        throw .invalid(
          file: file, item: entry.name, offset: entry.offset, expected: "a tensor from byte \(end) on",
          found: "a hole of \(entry.offset - end) bytes")
      }
      end = entry.offset + entry.byteCount
    }
  }
}

/// The bytes of a tensor, its shape having come from a file.
///
/// - Throws: `.invalid` for broken blocks, `.overflow`.
func tensorByteCount(
  name: String, type: ElementType, shape: [Int], file: String, offset: Int
) throws(CheckpointError) -> CheckedSize {
  do {
    if let size = CheckedSize(try TensorView.byteCount(name: name, type: type, shape: shape)) { return size }
  } catch {
    if (shape.last ?? 1) % type.blockValues != 0 {
      throw .invalid(
        file: file, item: name, offset: offset, expected: "rows of whole \(type) blocks of \(type.blockValues) values",
        found: "shape \(shape)")
    }
  }
  throw .overflow(file: file, item: name, offset: offset)
}
