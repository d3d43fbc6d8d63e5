// A position in a GGUF file; every read is checked against the bytes left.

/// Reads little-endian numbers, strings and values in order.
struct GGUFCursor {
  let bytes: UnsafeRawBufferPointer
  let file: String
  /// What errors name: the field, key or tensor being read.
  var item = "magic"
  private(set) var offset = 0

  init(bytes: UnsafeRawBufferPointer, file: String) {
    self.bytes = bytes
    self.file = file
  }

  /// Bytes not read yet.
  var left: Int { bytes.count - offset }

  func invalid(_ expected: String, _ found: String, at place: Int? = nil) -> CheckpointError {
    .invalid(file: file, item: item, offset: place ?? offset, expected: expected, found: found)
  }

  private func truncated(_ needed: UInt64) -> CheckpointError {
    .truncated(file: file, item: item, offset: offset, expected: needed, found: left)
  }

  /// The next number, stored in as many bytes as `T` has.
  mutating func number<T: FixedWidthInteger & BitwiseCopyable>(_: T.Type = T.self) throws(CheckpointError) -> T {
    let size = MemoryLayout<T>.size
    guard left >= size else { throw truncated(UInt64(size)) }
    defer { offset += size }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// A 64-bit count of things of at least `bytesEach` bytes, no more than `limit` and no more than the rest of the file can hold.
  mutating func count(limit: Int, bytesEach: Int) throws(CheckpointError) -> Int {
    let start = offset
    let number: UInt64 = try number()
    guard number <= UInt64(limit), let count = CheckedSize(number) else {
      throw .limit(file: file, item: item, offset: start, limit: limit, found: number)
    }
    guard count.value <= left / bytesEach else {
      let needed = CheckedSize(bytesEach).flatMap(count.times)?.value ?? .max
      throw .truncated(file: file, item: item, offset: start, expected: UInt64(needed), found: left)
    }
    return count.value
  }

  /// A 64-bit length and that many bytes of UTF-8.
  mutating func string(limit: Int = CheckpointLimits.stringBytes) throws(CheckpointError) -> String {
    let length = try count(limit: limit, bytesEach: 1)
    let content = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
    guard let text = String(validating: content, as: UTF8.self) else { throw invalid("UTF-8", "other bytes in a string") }
    offset += length
    return text
  }

  private mutating func boolean() throws(CheckpointError) -> Bool {
    let byte: UInt8 = try number()
    guard byte <= 1 else { throw invalid("a bool of 0 or 1", "\(byte)", at: offset - 1) }
    return byte == 1
  }

  private mutating func valueType() throws(CheckpointError) -> GGUFValueType {
    let number: UInt32 = try number()
    guard let type = GGUFValueType(rawValue: number) else {
      throw .unknownType(file: file, item: item, offset: offset - 4, type: "\(number)")
    }
    return type
  }

  /// A type number and a value of that type.
  mutating func value() throws(CheckpointError) -> GGUFValue {
    switch try valueType() {
    case .u8: .u8(try number())
    case .i8: .i8(try number())
    case .u16: .u16(try number())
    case .i16: .i16(try number())
    case .u32: .u32(try number())
    case .i32: .i32(try number())
    case .f32: .f32(Float(bitPattern: try number()))
    case .bool: .bool(try boolean())
    case .string: .string(try string())
    case .array: .array(try array(nesting: 1))
    case .u64: .u64(try number())
    case .i64: .i64(try number())
    case .f64: .f64(Double(bitPattern: try number()))
    }
  }

  private mutating func array(nesting: Int) throws(CheckpointError) -> GGUFArray {
    guard nesting <= CheckpointLimits.arrayNesting else {
      throw .limit(
        file: file, item: item, offset: offset, limit: CheckpointLimits.arrayNesting, found: UInt64(nesting))
    }
    let type = try valueType()
    let count = try count(limit: CheckpointLimits.arrayElements, bytesEach: type.minimumBytes)
    switch type {
    case .u8: return .u8(try numbers(count))
    case .i8: return .i8(try numbers(count))
    case .u16: return .u16(try numbers(count))
    case .i16: return .i16(try numbers(count))
    case .u32: return .u32(try numbers(count))
    case .i32: return .i32(try numbers(count))
    case .f32: return .f32(try numbers(count).map { (bits: UInt32) in Float(bitPattern: bits) })
    case .u64: return .u64(try numbers(count))
    case .i64: return .i64(try numbers(count))
    case .f64: return .f64(try numbers(count).map { (bits: UInt64) in Double(bitPattern: bits) })
    case .bool:
      var elements: [Bool] = []
      elements.reserveCapacity(count)
      for _ in 0..<count { elements.append(try boolean()) }
      return .bool(elements)
    case .string:
      var elements: [String] = []
      elements.reserveCapacity(count)
      for _ in 0..<count { elements.append(try string()) }
      return .string(elements)
    case .array:
      var elements: [GGUFArray] = []
      for _ in 0..<count { elements.append(try array(nesting: nesting + 1)) }
      return .array(elements)
    }
  }

  /// `count` numbers, known to be there.
  private mutating func numbers<T: FixedWidthInteger & BitwiseCopyable>(_ count: Int) throws(CheckpointError) -> [T] {
    var elements: [T] = []
    elements.reserveCapacity(count)
    for _ in 0..<count { elements.append(try number()) }
    return elements
  }

  /// Moves to the next multiple of `alignment`, which may lie behind the end.
  func padded(to alignment: Int) throws(CheckpointError) -> CheckedSize {
    guard let position = CheckedSize(offset)?.padded(to: alignment) else {
      throw .overflow(file: file, item: item, offset: offset)
    }
    return position
  }
}
