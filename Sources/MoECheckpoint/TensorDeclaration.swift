// What a writer is told of a tensor before its bytes come.

public import MoETensors

/// Name, type and shape of a tensor to be written.
public struct TensorDeclaration: Sendable, Hashable {
  /// Name in the file.
  public let name: String
  /// Type of the elements.
  public let type: ElementType
  /// Outermost first.
  public let shape: [Int]

  /// Declares a tensor; sizes are checked by the writer.
  public init(name: String, type: ElementType, shape: [Int]) {
    self.name = name
    self.type = type
    self.shape = shape
  }

  /// The declaration under which `view` would be written.
  public init(_ view: TensorView) { self.init(name: view.name, type: view.type, shape: view.shape) }

  /// Bytes of the tensor.
  ///
  /// - Throws: `.invalid` for broken blocks, a negative dimension or an empty name, `.overflow`.
  func byteCount(file: String) throws(CheckpointError) -> CheckedSize {
    guard !name.isEmpty, shape.allSatisfy({ $0 >= 0 }) else {
      throw .invalid(
        file: file, item: name, offset: 0, expected: "a name and dimensions of zero or more", found: "'\(name)', shape \(shape)")
    }
    return try tensorByteCount(name: name, type: type, shape: shape, file: file, offset: 0)
  }
}
