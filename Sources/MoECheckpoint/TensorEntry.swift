// One tensor as a header declares it, and how many bytes it must have.

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
