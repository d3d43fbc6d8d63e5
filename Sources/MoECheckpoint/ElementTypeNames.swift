// What element types are called in the two containers.

internal import MoETensors

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
