// Type numbers of GGUF metadata values.

/// Type numbers of metadata values.
enum GGUFValueType: UInt32, Sendable {
  case u8 = 0
  case i8, u16, i16, u32, i32, f32, bool, string, array, u64, i64, f64

  /// Bytes that one element takes at least in a file: the length of an empty string, the head of an empty array.
  var minimumBytes: Int {
    switch self {
    case .u8, .i8, .bool: 1
    case .u16, .i16: 2
    case .u32, .i32, .f32: 4
    case .u64, .i64, .f64, .string: 8
    case .array: 12
    }
  }

  var name: String {
    switch self {
    case .u8: "UINT8"
    case .i8: "INT8"
    case .u16: "UINT16"
    case .i16: "INT16"
    case .u32: "UINT32"
    case .i32: "INT32"
    case .f32: "FLOAT32"
    case .bool: "BOOL"
    case .string: "STRING"
    case .array: "ARRAY"
    case .u64: "UINT64"
    case .i64: "INT64"
    case .f64: "FLOAT64"
    }
  }
}
