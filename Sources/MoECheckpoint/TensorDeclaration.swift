// What a writer is told of a tensor before its bytes come.

public import MoETensors

/// Name, type and shape of a tensor to be written.
public struct TensorDeclaration: Sendable, Hashable {
  public let name: String
  public let type: ElementType
  /// Outermost first.
  public let shape: [Int]

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

extension ElementType {
  /// The type's name in safetensors headers, nil when the format has none.
  var safetensorsName: String? {
    switch self {
    case .weights(let format): format.safetensorsType
    case .u8: "U8"
    case .i8: "I8"
    case .u16: "U16"
    case .i16: "I16"
    case .u32: "U32"
    case .i32: "I32"
    case .u64: "U64"
    case .i64: "I64"
    case .f64: "F64"
    case .bool: "BOOL"
    case .e8m0: "F8_E8M0"
    }
  }

  /// The type's number in GGUF files, nil when the format has none.
  var ggufNumber: UInt32? {
    switch self {
    case .weights(let format): format.ggufType
    case .i8: 24
    case .i16: 25
    case .i32: 26
    case .i64: 27
    case .f64: 28
    case .u8, .u16, .u32, .u64, .bool, .e8m0: nil
    }
  }
}
