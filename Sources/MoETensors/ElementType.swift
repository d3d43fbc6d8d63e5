// What the elements of a stored tensor are: weights of a format, or plain integers.

/// Element type of a tensor in a checkpoint.
public enum ElementType: Sendable, Hashable, CustomStringConvertible {
  /// A weight format of the C table.
  case weights(WeightFormat)
  case u8, i8, u16, i16, u32, i32, u64, i64, f64, bool
  /// E8M0 bytes: powers of two, used as scales only.
  case e8m0

  /// IEEE single precision.
  public static let f32 = ElementType.weights(.f32)
  /// IEEE half precision.
  public static let f16 = ElementType.weights(.f16)
  /// The upper half of an f32.
  public static let bf16 = ElementType.weights(.bf16)

  /// Values in one block: 1 for all but block formats.
  public var blockValues: Int { if case .weights(let format) = self { format.blockValues } else { 1 } }

  /// Bytes of one block.
  public var blockBytes: Int {
    switch self {
    case .weights(let format): format.blockBytes
    case .u8, .i8, .bool, .e8m0: 1
    case .u16, .i16: 2
    case .u32, .i32: 4
    case .u64, .i64, .f64: 8
    }
  }

  /// The weight format, nil for integers.
  public var format: WeightFormat? { if case .weights(let format) = self { format } else { nil } }

  /// The type with this name in safetensors headers ("BF16", "I32"), or nil.
  public init?(safetensorsType name: String) {
    switch name {
    case "U8": self = .u8
    case "I8": self = .i8
    case "U16": self = .u16
    case "I16": self = .i16
    case "U32": self = .u32
    case "I32": self = .i32
    case "U64": self = .u64
    case "I64": self = .i64
    case "F64": self = .f64
    case "BOOL": self = .bool
    case "F8_E8M0": self = .e8m0
    default:
      guard let format = WeightFormat(safetensorsType: name) else { return nil }
      self = .weights(format)
    }
  }

  /// The type with this number in GGUF files, or nil.
  public init?(ggufType: UInt32) {
    switch ggufType {
    case 24: self = .i8
    case 25: self = .i16
    case 26: self = .i32
    case 27: self = .i64
    case 28: self = .f64
    default:
      guard let format = WeightFormat(ggufType: ggufType) else { return nil }
      self = .weights(format)
    }
  }

  public var description: String {
    switch self {
    case .weights(let format): format.name
    case .u8: "u8"
    case .i8: "i8"
    case .u16: "u16"
    case .i16: "i16"
    case .u32: "u32"
    case .i32: "i32"
    case .u64: "u64"
    case .i64: "i64"
    case .f64: "f64"
    case .bool: "bool"
    case .e8m0: "e8m0"
    }
  }
}
