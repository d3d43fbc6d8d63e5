// The tensors a header declares, found by name.

/// Entries with unique, non-empty names.
struct TensorTable: Sendable {
  private(set) var entries: [TensorEntry] = []
  private var places: [String: Int] = [:]

  /// Makes room for `count` entries.
  mutating func reserve(_ count: Int) {
    entries.reserveCapacity(count)
    places.reserveCapacity(count)
  }

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
