// A GGUF checkpoint: one file, or the set of a split one.

public import MoETensors

/// A GGUF file of version 2 or 3, little-endian (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
///
/// Opening `NAME-00001-of-00003.gguf` of a split model opens its other files too and shows all tensors as one source.
/// Dimensions, stored innermost first, are turned: `TensorView.shape` is outermost first.
public final class GGUFFile: TensorSource {
  /// All keys and values (of the first file of a split set).
  public let metadata: [String: GGUFValue]
  /// Version of the format: 2 or 3.
  public let version: UInt32
  /// Bytes that tensors of the (first) file are aligned to.
  public let alignment: Int
  /// The files, one but for split sets.
  public let paths: [String]
  /// Names of all tensors, of every part of a split set.
  public let tensorNames: [String]
  private let parts: [Part]
  /// Which part holds a tensor.
  private let places: [String: Int]

  private struct Part {
    let file: FileBytes
    let table: TensorTable
  }

  /// Opens the file, and its companions when it is the first of a split set, and checks all headers; tensor bytes are not looked at.
  ///
  /// - Throws: any `CheckpointError` of reading; `.missing` for a file of the set that is not there, `.unsupported` for big-endian files,
  ///   other versions and a file of a set that is not its first.
  public init(path: String, mode: LoadMode = .mapped) throws(CheckpointError) {
    let file = try FileBytes(path: path, mode: mode)
    let header = try withExtendedLifetime(file) { () throws(CheckpointError) in try GGUFHeader(file) }
    var parts = [Part(file: file, table: header.table)]
    if let split = try GGUFSplit(header.metadata, path: path) {
      for (number, path) in split.companions.enumerated() {
        guard Paths.kind(of: path) != .nothing else { throw .missing(file: file.path, item: Paths.name(of: path)) }
        let file = try FileBytes(path: path, mode: mode)
        let header = try withExtendedLifetime(file) { () throws(CheckpointError) in try GGUFHeader(file) }
        try split.check(header.metadata, number: number + 1, path: path)
        parts.append(Part(file: file, table: header.table))
      }
      try split.check(tensors: parts.reduce(0) { $0 + $1.table.entries.count }, path: path)
    }
    var places: [String: Int] = [:]
    var names: [String] = []
    places.reserveCapacity(parts.reduce(0) { $0 + $1.table.entries.count })
    for (number, part) in parts.enumerated() {
      for entry in part.table.entries {
        guard places.updateValue(number, forKey: entry.name) == nil else {
          throw .duplicate(file: part.file.path, item: entry.name, offset: entry.offset)
        }
        names.append(entry.name)
      }
    }
    metadata = header.metadata
    version = header.version
    alignment = header.alignment
    paths = parts.map(\.file.path)
    tensorNames = names
    self.parts = parts
    self.places = places
  }

  /// The file, or the first of a split set.
  public var path: String { parts[0].file.path }

  /// Path, container and counts, for messages.
  public var fileDescription: String {
    "\(path) (GGUF version \(version), \(parts.count == 1 ? "" : "\(parts.count) files, ")\(tensorNames.count) tensors)"
  }

  /// The tensor called `name`, nil when there is none; its bytes are borrowed from the file.
  public func tensor(_ name: String) throws(CheckpointError) -> TensorView? {
    guard let place = places[name], let entry = parts[place].table[name] else { return nil }
    return try entry.view(in: parts[place].file)
  }
}
