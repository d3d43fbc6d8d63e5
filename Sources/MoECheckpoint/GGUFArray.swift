// Arrays in GGUF metadata, stored by type so that a vocabulary of millions costs what it has to.

/// An array of a GGUF file: elements of one type.
public enum GGUFArray: Sendable, Equatable {
  case u8([UInt8])
  case i8([Int8])
  case u16([UInt16])
  case i16([Int16])
  case u32([UInt32])
  case i32([Int32])
  case f32([Float])
  case bool([Bool])
  case string([String])
  case array([GGUFArray])
  case u64([UInt64])
  case i64([Int64])
  case f64([Double])

  /// Number of elements.
  public var count: Int {
    switch self {
    case .u8(let elements): elements.count
    case .i8(let elements): elements.count
    case .u16(let elements): elements.count
    case .i16(let elements): elements.count
    case .u32(let elements): elements.count
    case .i32(let elements): elements.count
    case .f32(let elements): elements.count
    case .bool(let elements): elements.count
    case .string(let elements): elements.count
    case .array(let elements): elements.count
    case .u64(let elements): elements.count
    case .i64(let elements): elements.count
    case .f64(let elements): elements.count
    }
  }

  /// Every element as a value of its own.
  public var values: [GGUFValue] {
    switch self {
    case .u8(let elements): elements.map(GGUFValue.u8)
    case .i8(let elements): elements.map(GGUFValue.i8)
    case .u16(let elements): elements.map(GGUFValue.u16)
    case .i16(let elements): elements.map(GGUFValue.i16)
    case .u32(let elements): elements.map(GGUFValue.u32)
    case .i32(let elements): elements.map(GGUFValue.i32)
    case .f32(let elements): elements.map(GGUFValue.f32)
    case .bool(let elements): elements.map(GGUFValue.bool)
    case .string(let elements): elements.map(GGUFValue.string)
    case .array(let elements): elements.map(GGUFValue.array)
    case .u64(let elements): elements.map(GGUFValue.u64)
    case .i64(let elements): elements.map(GGUFValue.i64)
    case .f64(let elements): elements.map(GGUFValue.f64)
    }
  }

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
