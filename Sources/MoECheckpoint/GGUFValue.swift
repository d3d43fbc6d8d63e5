// Metadata values of GGUF files.

/// A metadata value of a GGUF file: one of the thirteen types of the specification
/// (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
public enum GGUFValue: Sendable, Equatable {
  case u8(UInt8)
  case i8(Int8)
  case u16(UInt16)
  case i16(Int16)
  case u32(UInt32)
  case i32(Int32)
  case f32(Float)
  case bool(Bool)
  case string(String)
  case array(GGUFArray)
  case u64(UInt64)
  case i64(Int64)
  case f64(Double)

  /// The integer, of any width, when it fits in `Int`; nil for every other type.
  public var int: Int? {
    switch self {
    case .u8(let value): Int(value)
    case .i8(let value): Int(value)
    case .u16(let value): Int(value)
    case .i16(let value): Int(value)
    case .u32(let value): Int(exactly: value)
    case .i32(let value): Int(value)
    case .u64(let value): Int(exactly: value)
    case .i64(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number, integers included.
  public var double: Double? {
    switch self {
    case .f32(let value): Double(value)
    case .f64(let value): value
    case .u64(let value): Double(value)
    default: int.map(Double.init)
    }
  }

  /// The value, nil unless it is a bool.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The value, nil unless it is a string.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// The elements as single values; for long arrays the typed `GGUFArray` of the case is cheaper.
  public var array: [GGUFValue]? { if case .array(let value) = self { value.values } else { nil } }

  /// Name of the type, as in the specification ("UINT32").
  public var typeName: String { type.name }

  var type: GGUFValueType {
    switch self {
    case .u8: .u8
    case .i8: .i8
    case .u16: .u16
    case .i16: .i16
    case .u32: .u32
    case .i32: .i32
    case .f32: .f32
    case .bool: .bool
    case .string: .string
    case .array: .array
    case .u64: .u64
    case .i64: .i64
    case .f64: .f64
    }
  }
}
