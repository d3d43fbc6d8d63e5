// Writing a GGUF file as a stream.

public import MoETensors

/// Writes a GGUF file of version 3 with alignment 32: all tensors are declared first, their bytes appended in that order.
///
/// The file grows as `path.partial` and gets its name in `finish`; a writer given up before, or after an error, leaves nothing behind.
public struct GGUFWriter: ~Copyable {
  /// Bytes that tensors are aligned to.
  public static let alignment = 32
  private let stream: TensorStream

  /// Writes the header; keys are sorted, `general.architecture` first.
  ///
  /// - Throws: `.unknownType` for a type that GGUF has no number for, `.duplicate`, `.limit`, `.invalid` (a `general.alignment` other
  ///   than UINT32 32, an array nested too deeply, ...), `.overflow`, `.system`.
  public init(path: String, tensors: [TensorDeclaration], metadata: [String: GGUFValue] = [:]) throws(CheckpointError) {
    var text = GGUFText(file: path)
    text.number(UInt32(0x4655_4747))
    text.number(UInt32(3))
    try text.limit(tensors.count, CheckpointLimits.tensors, item: "tensors")
    try text.limit(metadata.count, CheckpointLimits.keys, item: "keys")
    text.number(UInt64(tensors.count))
    text.number(UInt64(metadata.count))
    if let value = metadata["general.alignment"], value != .u32(UInt32(Self.alignment)) {
      throw .invalid(
        file: path, item: "general.alignment", offset: 0, expected: "UINT32 \(Self.alignment)", found: "another value")
    }
    let first = "general.architecture"
    for key in metadata.keys.sorted(by: { ($0 == first ? 0 : 1, $0) < ($1 == first ? 0 : 1, $1) }) {
      guard let value = metadata[key] else { continue }
      guard !key.isEmpty else { throw .invalid(file: path, item: "key", offset: 0, expected: "a name", found: "an empty one") }
      try text.limit(key.utf8.count, CheckpointLimits.keyBytes, item: key)
      try text.string(key, item: key)
      try text.value(value, item: key)
    }
    var names: Set<String> = []
    var sizes: [Int] = []
    var offset = CheckedSize.zero
    for tensor in tensors {
      guard let type = tensor.type.ggufNumber else {
        throw .unknownType(file: path, item: tensor.name, offset: 0, type: "\(tensor.type)")
      }
      guard names.insert(tensor.name).inserted else { throw .duplicate(file: path, item: tensor.name, offset: 0) }
      try text.limit(tensor.shape.count, CheckpointLimits.ggufRank, item: tensor.name)
      let size = try tensor.byteCount(file: path)
      try text.string(tensor.name, item: tensor.name)
      text.number(UInt32(tensor.shape.count))
      for dimension in tensor.shape.reversed() { text.number(UInt64(dimension)) }
      text.number(type)
      text.number(UInt64(offset.value))
      guard let next = offset.plus(size)?.padded(to: Self.alignment) else {
        throw .overflow(file: path, item: tensor.name, offset: 0)
      }
      sizes.append(size.value)
      offset = next
    }
    let rest = text.bytes.count % Self.alignment
    if rest != 0 { text.bytes.append(contentsOf: repeatElement(0, count: Self.alignment - rest)) }
    stream = try TensorStream(path: path, header: text.bytes, tensors: tensors, sizes: sizes, alignment: Self.alignment)
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
}
