// Writing one safetensors file as a stream.

public import MoETensors

/// Writes a safetensors file: all tensors are declared first, their bytes appended in that order.
///
/// The file grows as `path.partial` and gets its name in `finish`; a writer given up before, or after an error, leaves nothing behind.
///
///     var writer = try SafetensorsWriter(path: path, tensors: declarations, metadata: ["format": "pt"])
///     for view in views { try writer.append(view) }
///     try writer.finish()
public struct SafetensorsWriter: ~Copyable {
  let stream: TensorStream

  /// Writes the header, padded with spaces so that the data starts at a multiple of 8.
  ///
  /// - Throws: `.unknownType` for a type that safetensors has no name for, `.duplicate`, `.limit`, `.invalid`, `.overflow`, `.system`.
  public init(path: String, tensors: [TensorDeclaration], metadata: [String: String] = [:]) throws(CheckpointError) {
    var sizes: [Int] = []
    let header = try Self.header(path: path, tensors: tensors, metadata: metadata, sizes: &sizes)
    stream = try TensorStream(path: path, header: header, tensors: tensors, sizes: sizes, alignment: 1)
  }

  /// The tensor that the next bytes belong to, nil when all are written.
  public var next: TensorDeclaration? { stream.next }

  /// Appends bytes of the current tensor; the last of them moves on to the next.
  ///
  /// - Throws: `.invalid` for more bytes than the tensor has left, `.system`.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) { try stream.append(bytes) }

  /// Appends bytes held in an array.
  public mutating func append(_ bytes: [UInt8]) throws(CheckpointError) {
    try bytes.withUnsafeBufferPointer { (bytes) throws(CheckpointError) in try stream.append(UnsafeRawBufferPointer(bytes)) }
  }

  /// Appends a whole tensor, which must be the one declared next.
  public mutating func append(_ view: TensorView) throws(CheckpointError) { try stream.append(view) }

  /// Syncs the file and gives it its name.
  ///
  /// - Throws: `.invalid` when bytes are missing, `.system`.
  public mutating func finish() throws(CheckpointError) {
    try stream.seal()
    try stream.file.publish()
  }

  private static func header(
    path: String, tensors: [TensorDeclaration], metadata: [String: String], sizes: inout [Int]
  ) throws(CheckpointError) -> [UInt8] {
    guard tensors.count <= CheckpointLimits.tensors else {
      throw .limit(file: path, item: "tensors", offset: 0, limit: CheckpointLimits.tensors, found: UInt64(tensors.count))
    }
    var text = "{"
    if !metadata.isEmpty {
      text += "\"__metadata__\":" + JSON.object(metadata.mapValues(JSON.string)).serialized()
    }
    var names: Set<String> = ["__metadata__"]
    var end = CheckedSize.zero
    for tensor in tensors {
      guard let type = tensor.type.safetensorsName else {
        throw .unknownType(file: path, item: tensor.name, offset: 0, type: "\(tensor.type)")
      }
      guard names.insert(tensor.name).inserted else { throw .duplicate(file: path, item: tensor.name, offset: 0) }
      guard tensor.shape.count <= CheckpointLimits.rank else {
        throw .limit(
          file: path, item: tensor.name, offset: 0, limit: CheckpointLimits.rank, found: UInt64(tensor.shape.count))
      }
      let size = try tensor.byteCount(file: path)
      guard let next = end.plus(size) else { throw .overflow(file: path, item: tensor.name, offset: 0) }
      if text.utf8.count > 1 { text += "," }
      JSON.quote(tensor.name, to: &text)
      let shape = tensor.shape.map(String.init).joined(separator: ",")
      text += ":{\"dtype\":\"\(type)\",\"shape\":[\(shape)],\"data_offsets\":[\(end.value),\(next.value)]}"
      sizes.append(size.value)
      end = next
    }
    text += "}"
    var header = Array(text.utf8)
    header.append(contentsOf: repeatElement(UInt8(ascii: " "), count: (8 - header.count % 8) % 8))
    guard header.count <= CheckpointLimits.headerBytes else {
      throw .limit(file: path, item: "header", offset: 0, limit: CheckpointLimits.headerBytes, found: UInt64(header.count))
    }
    return withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header
  }
}
