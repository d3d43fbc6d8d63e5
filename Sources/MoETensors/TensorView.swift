// A borrowed tensor: pointer, type and shape, with the owner that keeps the bytes alive.

/// A named tensor whose bytes belong to somebody else: a mapped file or a buffer.
///
/// Shapes are row-major, outermost first (GGUF's reversed order is turned at reading).
public struct TensorView: @unchecked Sendable {
  /// Name in the checkpoint.
  public let name: String
  /// Type of the elements.
  public let type: ElementType
  /// Dimensions, outermost first.
  public let shape: [Int]
  /// The tensor's bytes; may start at any address. Valid as long as `owner` lives.
  public let bytes: UnsafeRawBufferPointer
  /// Keeps the bytes alive; they are never written while it lives.
  public let owner: AnyObject

  /// A view of `bytes` as a tensor.
  ///
  /// - Throws: `ShapeError` when the shape overflows, breaks a block or does not match the number of bytes.
  public init(name: String, type: ElementType, shape: [Int], bytes: UnsafeRawBufferPointer, owner: AnyObject) throws(ShapeError) {
    let expected = try Self.byteCount(name: name, type: type, shape: shape)
    guard expected == bytes.count else {
      throw ShapeError(tensor: name, reason: "shape \(shape) of \(type) needs \(expected) bytes, found \(bytes.count)")
    }
    self.name = name
    self.type = type
    self.shape = shape
    self.bytes = bytes
    self.owner = owner
  }

  /// Dimensions beside a zero, which no bytes bound, are no larger: sizes derived from them cannot overflow.
  static let largestEmptyDimension = 1 << 48

  /// Number of values.
  public var count: Int { shape.reduce(1, *) }

  /// Bytes of a tensor of this type and shape; the innermost dimension holds whole blocks.
  public static func byteCount(name: String, type: ElementType, shape: [Int]) throws(ShapeError) -> Int {
    var count = 1
    for dimension in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !overflow else { throw ShapeError(tensor: name, reason: "shape \(shape) overflows") }
      count = product
    }
    guard count > 0 || shape.allSatisfy({ $0 <= largestEmptyDimension }) else { throw ShapeError(tensor: name, reason: "shape \(shape) overflows") }
    let row = shape.last ?? 1
    guard row % type.blockValues == 0 else {
      throw ShapeError(tensor: name, reason: "rows of \(row) values are not whole blocks of \(type) (\(type.blockValues) values)")
    }
    let (bytes, overflow) = (count / type.blockValues).multipliedReportingOverflow(by: type.blockBytes)
    if overflow { throw ShapeError(tensor: name, reason: "shape \(shape) of \(type) overflows") }
    return bytes
  }

  /// All values widened to f32.
  ///
  /// - Throws: `ShapeError` when the elements are no weights.
  public func floats() throws(ShapeError) -> [Float] {
    if case .f64 = type { return integers(Double.self).map(Float.init) }
    guard case .weights(let format) = type else {
      throw ShapeError(tensor: name, reason: "holds \(type) where weights were expected")
    }
    do { return try format.decode(bytes, count: count) } catch { throw ShapeError(tensor: name, reason: "\(error)") }
  }

  /// All elements as the trivial type `T` of the same width.
  package func integers<T: BitwiseCopyable>(_: T.Type) -> [T] {
    precondition(MemoryLayout<T>.size == type.blockBytes)
    return (0..<count).map { bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<T>.size, as: T.self) }
  }
}

/// A tensor whose shape, type or byte count is not what it has to be.
public struct ShapeError: Error, Equatable, CustomStringConvertible {
  /// The tensor or argument at fault.
  public let tensor: String
  /// Expected and found, in words.
  public let reason: String
  /// The error of `tensor`.
  public init(tensor: String, reason: String) {
    self.tensor = tensor
    self.reason = reason
  }
  public var description: String { "tensor '\(tensor)': \(reason)" }
}
