// JSON values: configuration files, index files, reports.

/// A JSON value (RFC 8259).
public enum JSON: Sendable, Equatable {
  case null
  case bool(Bool)
  /// A number without fraction or exponent that fits in `Int`.
  case integer(Int)
  /// Every other number.
  case number(Double)
  case string(String)
  case array([JSON])
  case object([String: JSON])

  /// How much a text may ask for, and whether Python's `NaN`, `Infinity` and `-Infinity` are numbers.
  public struct Limits: Sendable, Hashable {
    /// Arrays and objects within each other.
    public var depth: Int
    /// Values altogether.
    public var values: Int
    /// Bytes of the text.
    public var bytes: Int
    /// True when `NaN`, `Infinity`, `-Infinity` and numbers beyond `Double` are accepted.
    public var allowsNonFinite: Bool

    /// Limits; those of strict JSON by default.
    public init(
      depth: Int = 64, values: Int = 1 << 20, bytes: Int = CheckpointLimits.configBytes, allowsNonFinite: Bool = false
    ) {
      self.depth = depth
      self.values = values
      self.bytes = bytes
      self.allowsNonFinite = allowsNonFinite
    }

    /// Strict RFC 8259, 64 levels, a million values, 16 MiB.
    public static let standard = Limits()
    /// As `standard`, with the non-finite numbers that Python writes into `config.json`.
    public static let config = Limits(allowsNonFinite: true)
  }

  /// Parses one value that fills `bytes` but for white space.
  ///
  /// - Parameter file: what errors name as the file.
  /// - Throws: `.invalid` (grammar, UTF-8, trailing bytes), `.truncated`, `.limit`, `.duplicate` for a key that occurs twice in an object.
  ///   Keys are equal when Swift's strings are: by Unicode canonical equivalence.
  public init(
    parsing bytes: UnsafeRawBufferPointer, limits: Limits = .standard, file: String = "JSON"
  ) throws(CheckpointError) {
    guard bytes.count <= limits.bytes else {
      throw .limit(file: file, item: "JSON", offset: 0, limit: limits.bytes, found: UInt64(bytes.count))
    }
    var reader = JSONReader(bytes: bytes, file: file, limits: limits)
    self = try reader.value()
    try reader.end()
  }

  /// Parses a text held in an array: see `init(parsing:limits:file:)`.
  public init(parsing bytes: [UInt8], limits: Limits = .standard, file: String = "JSON") throws(CheckpointError) {
    self = try bytes.withUnsafeBufferPointer { (bytes) throws(CheckpointError) in
      try JSON(parsing: UnsafeRawBufferPointer(bytes), limits: limits, file: file)
    }
  }

  /// Parses a string: see `init(parsing:limits:file:)`.
  public init(parsing text: String, limits: Limits = .standard, file: String = "JSON") throws(CheckpointError) {
    try self.init(parsing: Array(text.utf8), limits: limits, file: file)
  }

  /// Parses a file.
  ///
  /// - Throws: the errors of opening a file and of `init(parsing:limits:file:)`.
  public init(path: String, limits: Limits = .config) throws(CheckpointError) {
    let file = try FileBytes(path: path, mode: .copied, limit: limits.bytes)
    self = try withExtendedLifetime(file) { () throws(CheckpointError) in
      try JSON(parsing: file.bytes, limits: limits, file: path)
    }
  }

  /// The value under `key`, nil for other than objects and for absent keys.
  public subscript(key: String) -> JSON? { object?[key] }

  /// The number when it is whole and fits.
  public var int: Int? {
    switch self {
    case .integer(let value): value
    case .number(let value): Int(exactly: value)
    default: nil
    }
  }

  /// The number, rounded when it is an integer beyond 2^53.
  public var double: Double? {
    switch self {
    case .integer(let value): Double(value)
    case .number(let value): value
    default: nil
    }
  }

  /// The value, nil unless it is true or false.
  public var bool: Bool? { if case .bool(let value) = self { value } else { nil } }
  /// The value, nil unless it is a string.
  public var string: String? { if case .string(let value) = self { value } else { nil } }
  /// The elements, nil unless it is an array.
  public var array: [JSON]? { if case .array(let value) = self { value } else { nil } }
  /// The members by key, nil unless it is an object.
  public var object: [String: JSON]? { if case .object(let value) = self { value } else { nil } }
  /// True for `null`.
  public var isNull: Bool { self == .null }
}
