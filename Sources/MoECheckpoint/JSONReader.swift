// A strict pull parser for JSON; every reader of JSON here is built on it.

/// A position in a JSON text. Objects and arrays are walked by their users, so that big headers need no tree:
///
///     try reader.beginObject()
///     while let key = try reader.nextKey() { ... read one value ... }
struct JSONReader {
  let bytes: UnsafeRawBufferPointer
  let file: String
  let limits: JSON.Limits
  /// Added to positions in errors: where the text starts in the file.
  var base = 0
  /// What errors name: the last key read.
  var item = "JSON"
  private(set) var position = 0
  private var depth = 0
  private var values = 0
  /// True right after an opening bracket, when no comma is due.
  private var fresh = false

  init(bytes: UnsafeRawBufferPointer, file: String, limits: JSON.Limits, base: Int = 0) {
    self.bytes = bytes
    self.file = file
    self.limits = limits
    self.base = base
  }

  /// Byte of the file at which the reader stands.
  var offset: Int { base + position }

  func wrong(_ expected: String, at place: Int? = nil) -> CheckpointError {
    let place = place ?? position
    guard place < bytes.count else { return .truncated(file: file, item: item, offset: base + place, expected: 1, found: 0) }
    let byte = bytes[place]
    let found = (33..<127).contains(byte) ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
    return .invalid(file: file, item: item, offset: base + place, expected: expected, found: found)
  }

  /// The next byte that is not white space, not consumed; nil at the end.
  mutating func peek() -> UInt8? {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0A, 0x0D: position += 1
      default: return bytes[position]
      }
    }
    return nil
  }

  private mutating func take(_ byte: UInt8, _ expected: String) throws(CheckpointError) {
    guard peek() == byte else { throw wrong(expected) }
    position += 1
  }

  /// Demands that only white space is left.
  mutating func end() throws(CheckpointError) {
    if peek() != nil { throw wrong("the end of the text") }
  }

  mutating func beginObject() throws(CheckpointError) {
    try take(UInt8(ascii: "{"), "an object")
    try descend()
  }

  mutating func beginArray() throws(CheckpointError) {
    try take(UInt8(ascii: "["), "an array")
    try descend()
  }

  private mutating func descend() throws(CheckpointError) {
    depth += 1
    guard depth <= limits.depth else {
      throw .limit(file: file, item: item, offset: offset, limit: limits.depth, found: UInt64(depth))
    }
    fresh = true
  }

  /// The key of the next member, its value being next; nil when the object ends.
  mutating func nextKey() throws(CheckpointError) -> String? {
    guard try next(UInt8(ascii: "}")) else { return nil }
    guard peek() == UInt8(ascii: "\"") else { throw wrong("a key") }
    let key = try string()
    item = key
    try take(UInt8(ascii: ":"), "':'")
    return key
  }

  /// True when another element follows, false when the array ends.
  mutating func nextElement() throws(CheckpointError) -> Bool { try next(UInt8(ascii: "]")) }

  private mutating func next(_ close: UInt8) throws(CheckpointError) -> Bool {
    if peek() == close {
      position += 1
      depth -= 1
      fresh = false
      return false
    }
    if !fresh { try take(UInt8(ascii: ","), "',' or '\(Character(Unicode.Scalar(close)))'") }
    fresh = false
    return true
  }

  /// The next value as a tree. Recursion is bounded by `limits.depth`.
  mutating func value() throws(CheckpointError) -> JSON {
    values += 1
    guard values <= limits.values else {
      throw .limit(file: file, item: item, offset: offset, limit: limits.values, found: UInt64(values))
    }
    switch peek() {
    case UInt8(ascii: "{"):
      try beginObject()
      var members: [String: JSON] = [:]
      while true {
        let start = offset
        guard let key = try nextKey() else { break }
        let member = try value()
        guard members.updateValue(member, forKey: key) == nil else {
          throw .duplicate(file: file, item: key, offset: start)
        }
      }
      return .object(members)
    case UInt8(ascii: "["):
      try beginArray()
      var elements: [JSON] = []
      while try nextElement() { elements.append(try value()) }
      return .array(elements)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case UInt8(ascii: "N") where limits.allowsNonFinite: return try word("NaN", .number(.nan))
    case UInt8(ascii: "I") where limits.allowsNonFinite: return try word("Infinity", .number(.infinity))
    default: return try number()
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSON) throws(CheckpointError) -> JSON {
    for index in 0..<text.utf8CodeUnitCount {
      guard position < bytes.count, bytes[position] == text.utf8Start[index] else { throw wrong("'\(text)'") }
      position += 1
    }
    return value
  }

  private func isDigit(_ place: Int) -> Bool { place < bytes.count && (0x30...0x39).contains(bytes[place]) }

  private mutating func digits() throws(CheckpointError) {
    guard isDigit(position) else { throw wrong("a digit") }
    while isDigit(position) { position += 1 }
  }

  private mutating func number() throws(CheckpointError) -> JSON {
    let start = position
    let negative = position < bytes.count && bytes[position] == UInt8(ascii: "-")
    if negative { position += 1 }
    if negative, limits.allowsNonFinite, position < bytes.count, bytes[position] == UInt8(ascii: "I") {
      return try word("Infinity", .number(-.infinity))
    }
    guard isDigit(position) else { throw wrong(negative ? "a digit" : "a value") }
    if bytes[position] == UInt8(ascii: "0") {
      position += 1
      if isDigit(position) { throw wrong("a number without leading zeros") }
    } else {
      try digits()
    }
    var whole = true
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      whole = false
      position += 1
      try digits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      whole = false
      position += 1
      if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") { position += 1 }
      try digits()
    }
    guard position - start <= CheckpointLimits.numberBytes else {
      throw .limit(
        file: file, item: item, offset: base + start, limit: CheckpointLimits.numberBytes, found: UInt64(position - start))
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if whole, let integer = Int(text) { return .integer(integer) }
    guard let double = Double(text), double.isFinite || limits.allowsNonFinite else {
      throw .invalid(file: file, item: item, offset: base + start, expected: "a number within Double", found: text)
    }
    return .number(double)
  }

  /// The next value, which must be a whole number of zero or more without fraction or exponent.
  mutating func size() throws(CheckpointError) -> CheckedSize {
    // A tree where a number is due is not built.
    guard let next = peek(), (0x30...0x39).contains(next) else { throw wrong("a whole number of zero or more") }
    let start = position
    let value = try value()
    if case .integer(let integer) = value, let size = CheckedSize(integer) { return size }
    throw .invalid(
      file: file, item: item, offset: base + start, expected: "a whole number below 2^63",
      found: String(decoding: bytes[start..<position], as: UTF8.self))
  }

  /// The next value, which must be a string.
  mutating func string() throws(CheckpointError) -> String {
    try take(UInt8(ascii: "\""), "a string")
    let start = position
    var escaped = false
    scan: while true {
      guard position < bytes.count else { throw wrong("'\"'") }
      switch bytes[position] {
      case UInt8(ascii: "\""): break scan
      case UInt8(ascii: "\\"):
        escaped = true
        position += 2
      case 0..<0x20: throw wrong("no control character in a string")
      default: position += 1
      }
    }
    let content = UnsafeRawBufferPointer(rebasing: bytes[start..<position])
    guard content.count <= CheckpointLimits.stringBytes else {
      throw .limit(
        file: file, item: item, offset: base + start, limit: CheckpointLimits.stringBytes, found: UInt64(content.count))
    }
    position += 1
    let text = escaped ? String(validating: try unescape(content, at: start), as: UTF8.self) : String(validating: content, as: UTF8.self)
    guard let text else {
      throw .invalid(file: file, item: item, offset: base + start, expected: "UTF-8", found: "other bytes in a string")
    }
    return text
  }

  private func unescape(_ content: UnsafeRawBufferPointer, at start: Int) throws(CheckpointError) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(content.count)
    var place = 0
    func unit(_ from: Int) throws(CheckpointError) -> UInt32 {
      guard from + 4 <= content.count else { throw wrong("four hexadecimal digits", at: start + content.count) }
      var value: UInt32 = 0
      for index in from..<from + 4 {
        guard let digit = Character(Unicode.Scalar(content[index])).hexDigitValue, content[index] < 0x80 else {
          throw wrong("a hexadecimal digit", at: start + index)
        }
        value = value << 4 | UInt32(digit)
      }
      return value
    }
    while place < content.count {
      guard content[place] == UInt8(ascii: "\\") else {
        result.append(content[place])
        place += 1
        continue
      }
      // The scan above stepped over the escaped byte, so it is there.
      let code = content[place + 1]
      place += 2
      switch code {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(code)
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0C)
      case UInt8(ascii: "n"): result.append(0x0A)
      case UInt8(ascii: "r"): result.append(0x0D)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "u"):
        var scalar = try unit(place)
        let first = place
        place += 4
        if (0xD800..<0xDC00).contains(scalar), place + 2 <= content.count, content[place] == UInt8(ascii: "\\"),
          content[place + 1] == UInt8(ascii: "u")
        {
          let low = try unit(place + 2)
          if (0xDC00..<0xE000).contains(low) {
            scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
            place += 6
          }
        }
        guard let character = Unicode.Scalar(scalar) else { throw wrong("a pair of surrogates", at: start + first) }
        result.append(contentsOf: UTF8.encode(character).map(Array.init) ?? [])
      default: throw wrong("an escape", at: start + place - 1)
      }
    }
    return result
  }
}
