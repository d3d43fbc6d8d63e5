// Configuration values as families name them: keys, aliases, defaults, products.

/// An integer of a configuration.
indirect enum IntegerKey: Sendable, ExpressibleByIntegerLiteral {
  case constant(Int)
  /// The first of the keys that is present; a list is indexed by the layer. Nil default: the key is required.
  case keys([String], default: Int?)
  case product(IntegerKey, IntegerKey)
  case squareRoot(IntegerKey)
  /// The first, or the second where it is 0.
  case nonZero(IntegerKey, else: IntegerKey)

  init(integerLiteral value: Int) { self = .constant(value) }

  static func key(_ names: String..., default value: Int? = nil) -> IntegerKey { .keys(names, default: value) }
  static func * (a: IntegerKey, b: IntegerKey) -> IntegerKey { .product(a, b) }
}

/// A number of a configuration.
indirect enum NumberKey: Sendable, ExpressibleByFloatLiteral {
  case constant(Double)
  case keys([String], default: Double)
  case oneMinus(NumberKey)

  init(floatLiteral value: Double) { self = .constant(value) }

  static func key(_ names: String..., default value: Double) -> NumberKey { .keys(names, default: value) }
}

/// A switch of a configuration.
enum FlagKey: Sendable {
  case always, never
  case key(String, alias: String? = nil, default: Bool)
  /// True when a text key has this value.
  case equals(String, String)
  /// True when an integer key is present and larger.
  case exceeds(String, Int)
}

/// Reads values of one model's configuration for one layer.
package struct ConfigurationReader {
  /// Looks a (dotted) key up; nil when it is absent.
  let lookup: (String) -> ConfigurationValue?
  let family: String
  let layer: Int

  func integer(_ key: IntegerKey) throws(MoEError) -> Int {
    switch key {
    case .constant(let value): return value
    case .keys(let names, let fallback):
      for name in names {
        guard let value = lookup(name), !value.isNull else { continue }
        if let integer = value.integer { return try checked(integer, name) }
        if let list = value.list, list.indices.contains(layer), let integer = list[layer].integer { return try checked(integer, name) }
        throw .badValue(key: name, value: value.text, reason: "expected an integer")
      }
      guard let fallback else { throw .missingKey(names[0], family: family) }
      return fallback
    case .product(let a, let b):
      let (value, overflow) = try integer(a).multipliedReportingOverflow(by: integer(b))
      if overflow { throw .badValue(key: "product of sizes", value: "overflow", reason: "does not fit") }
      return value
    case .nonZero(let a, let b):
      let value = try integer(a)
      return value == 0 ? try integer(b) : value
    case .squareRoot(let a): return Int(Double(try integer(a)).squareRoot())
    }
  }

  /// Sizes and counts are small and not negative whatever a file says.
  private func checked(_ value: Int, _ name: String) throws(MoEError) -> Int {
    guard value >= 0, value <= 1 << 30 else { throw .badValue(key: name, value: "\(value)", reason: "expected 0 ... 2^30") }
    return value
  }

  func number(_ key: NumberKey) throws(MoEError) -> Double {
    switch key {
    case .constant(let value): return value
    case .oneMinus(let key): return 1 - (try number(key))
    case .keys(let names, let fallback): return try optionalNumber(names) ?? fallback
    }
  }

  /// The number, or nil when every key is absent or null.
  func optionalNumber(_ names: [String]) throws(MoEError) -> Double? {
    for name in names {
      guard let value = lookup(name), !value.isNull else { continue }
      guard let number = value.number, Float(number).isFinite else { throw .badValue(key: name, value: value.text, reason: "expected a number within f32") }
      return number
    }
    return nil
  }

  func isNull(_ name: String) -> Bool { lookup(name)?.isNull ?? false }

  func flag(_ key: FlagKey) throws(MoEError) -> Bool {
    switch key {
    case .always: return true
    case .never: return false
    case .equals(let name, let value): return lookup(name)?.string == value
    case .exceeds(let name, let bound): return (try integer(.keys([name], default: bound))) > bound
    case .key(let name, let alias, let fallback):
      for name in [name, alias].compactMap({ $0 }) {
        guard let value = lookup(name), !value.isNull else { continue }
        guard let flag = value.flag else { throw .badValue(key: name, value: value.text, reason: "expected true or false") }
        return flag
      }
      return fallback
    }
  }

  func string(_ names: [String], default fallback: String) throws(MoEError) -> String {
    for name in names {
      guard let value = lookup(name), !value.isNull else { continue }
      guard let string = value.string ?? value.member("name") else { throw .badValue(key: name, value: value.text, reason: "expected a text") }
      return string
    }
    return fallback
  }
}
