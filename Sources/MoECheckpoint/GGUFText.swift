// GGUF's encoding of numbers, strings and values.

/// Bytes of a GGUF header in the making.
struct GGUFText {
  let file: String
  var bytes: [UInt8] = []

  init(file: String) { self.file = file }

  func limit(_ count: Int, _ limit: Int, item: String) throws(CheckpointError) {
    guard count <= limit else { throw .limit(file: file, item: item, offset: bytes.count, limit: limit, found: UInt64(count)) }
  }

  mutating func number(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  mutating func string(_ text: String, item: String) throws(CheckpointError) {
    try limit(text.utf8.count, CheckpointLimits.stringBytes, item: item)
    number(UInt64(text.utf8.count))
    bytes.append(contentsOf: text.utf8)
  }

  /// The type number and the value.
  mutating func value(_ value: GGUFValue, item: String) throws(CheckpointError) {
    number(value.type.rawValue)
    switch value {
    case .u8(let value): number(value)
    case .i8(let value): number(value)
    case .u16(let value): number(value)
    case .i16(let value): number(value)
    case .u32(let value): number(value)
    case .i32(let value): number(value)
    case .f32(let value): number(value.bitPattern)
    case .bool(let value): bytes.append(value ? 1 : 0)
    case .string(let value): try string(value, item: item)
    case .array(let value): try array(value, nesting: 1, item: item)
    case .u64(let value): number(value)
    case .i64(let value): number(value)
    case .f64(let value): number(value.bitPattern)
    }
  }

  private mutating func array(_ array: GGUFArray, nesting: Int, item: String) throws(CheckpointError) {
    try limit(nesting, CheckpointLimits.arrayNesting, item: item)
    try limit(array.count, CheckpointLimits.arrayElements, item: item)
    number(array.type.rawValue)
    number(UInt64(array.count))
    switch array {
    case .u8(let elements): bytes.append(contentsOf: elements)
    case .i8(let elements): for element in elements { number(element) }
    case .u16(let elements): for element in elements { number(element) }
    case .i16(let elements): for element in elements { number(element) }
    case .u32(let elements): for element in elements { number(element) }
    case .i32(let elements): for element in elements { number(element) }
    case .f32(let elements): for element in elements { number(element.bitPattern) }
    case .bool(let elements): for element in elements { bytes.append(element ? 1 : 0) }
    case .string(let elements): for element in elements { try string(element, item: item) }
    case .array(let elements): for element in elements { try self.array(element, nesting: nesting + 1, item: item) }
    case .u64(let elements): for element in elements { number(element) }
    case .i64(let elements): for element in elements { number(element) }
    case .f64(let elements): for element in elements { number(element.bitPattern) }
    }
  }
}
