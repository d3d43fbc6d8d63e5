// JSON values as text.

extension JSON {
  /// The value as RFC 8259 text, object keys sorted, so equal values give equal text.
  ///
  /// - Parameters:
  ///   - pretty: two spaces a level and a line a member; arrays of plain numbers stay on one line.
  ///   - allowsNonFinite: writes `NaN`, `Infinity` and `-Infinity` as Python does; otherwise such numbers become `null`.
  public func serialized(pretty: Bool = false, allowsNonFinite: Bool = false) -> String {
    var text = ""
    write(to: &text, indent: pretty ? 0 : nil, allowsNonFinite: allowsNonFinite)
    return text
  }

  /// Writes the value as a text file of Python's dialect, whole or not at all.
  ///
  /// - Throws: `CheckpointError.system`.
  public func write(path: String) throws(CheckpointError) {
    let file = try PartialFile(path: path)
    let text = Array((serialized(pretty: true, allowsNonFinite: true) + "\n").utf8)
    try file.write(text)
    try file.seal()
    try file.publish()
  }

  private var isContainer: Bool {
    switch self {
    case .array, .object: true
    default: false
    }
  }

  private func write(to text: inout String, indent: Int?, allowsNonFinite: Bool) {
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .integer(let value): text += String(value)
    case .number(let value):
      if value.isFinite {
        text += value.description
      } else if !allowsNonFinite {
        text += "null"
      } else {
        text += value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
      }
    case .string(let value): JSON.quote(value, to: &text)
    case .array(let elements):
      let inner = elements.contains { $0.isContainer } ? indent.map { $0 + 1 } : nil
      text += "["
      for (index, element) in elements.enumerated() {
        if index > 0 { text += inner == nil && indent != nil ? ", " : "," }
        JSON.line(to: &text, indent: inner)
        element.write(to: &text, indent: inner, allowsNonFinite: allowsNonFinite)
      }
      if !elements.isEmpty { JSON.line(to: &text, indent: inner.map { $0 - 1 }) }
      text += "]"
    case .object(let members):
      let inner = indent.map { $0 + 1 }
      text += "{"
      for (index, key) in members.keys.sorted().enumerated() {
        if index > 0 { text += "," }
        JSON.line(to: &text, indent: inner)
        JSON.quote(key, to: &text)
        text += indent == nil ? ":" : ": "
        (members[key] ?? .null).write(to: &text, indent: inner, allowsNonFinite: allowsNonFinite)
      }
      if !members.isEmpty { JSON.line(to: &text, indent: indent) }
      text += "}"
    }
  }

  private static func line(to text: inout String, indent: Int?) {
    guard let indent else { return }
    text += "\n" + String(repeating: "  ", count: indent)
  }

  /// Appends `value` quoted, with control characters escaped.
  static func quote(_ value: String, to text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      default:
        if scalar.value < 0x20 {
          let digits = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        } else {
          text.unicodeScalars.append(scalar)
        }
      }
    }
    text += "\""
  }
}
