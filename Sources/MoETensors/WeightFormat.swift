// The weight formats of the C table, by name.

internal import CMoEKernels

/// How weights lie in memory: f32, bf16, q4_k, mxfp4, ...
///
/// The formats are the rows of `CKernels/formats/list.h`; the name is the identity everywhere.
public struct WeightFormat: Sendable, Hashable, CustomStringConvertible {
  /// Row of the C table.
  public let index: Int32

  package init(index: Int32) { self.index = index }

  var row: UnsafePointer<moe_format> { moe_format_at(index) }

  /// Every format of the table.
  public static let all: [WeightFormat] = (0..<moe_format_count()).map(WeightFormat.init(index:))

  /// The format called `name` ("q4_k"), or nil.
  public init?(named name: String) {
    guard let format = Self.all.first(where: { $0.name == name }) else { return nil }
    self = format
  }

  /// The format with this type number in GGUF files, or nil.
  public init?(ggufType: UInt32) {
    guard let format = Self.all.first(where: { $0.ggufType == ggufType }) else { return nil }
    self = format
  }

  /// The format with this type name in safetensors headers ("BF16"), or nil.
  public init?(safetensorsType: String) {
    guard let format = Self.all.first(where: { $0.safetensorsType == safetensorsType }) else { return nil }
    self = format
  }

  /// IEEE single precision.
  public static let f32 = WeightFormat(named: "f32")!
  /// IEEE half precision.
  public static let f16 = WeightFormat(named: "f16")!
  /// The upper half of an f32.
  public static let bf16 = WeightFormat(named: "bf16")!

  /// The format's name in C, files, tests and benchmark output: "q4_k".
  public var name: String { String(cString: row.pointee.name) }
  public var description: String { name }
  /// Values in one block; a row holds a whole number of blocks.
  public var blockValues: Int { Int(row.pointee.block_values) }
  /// Bytes of one block.
  public var blockBytes: Int { Int(row.pointee.block_bytes) }
  /// Type number in GGUF files, nil when GGUF has no such type.
  public var ggufType: UInt32? { row.pointee.gguf_type < 0 ? nil : UInt32(row.pointee.gguf_type) }
  /// Type name in safetensors headers, nil when safetensors has no such type.
  public var safetensorsType: String? { row.pointee.safetensors_type.map { String(cString: $0) } }
  /// True when scales (and zero points) lie in planes beside the codes.
  public var isScaled: Bool { row.pointee.scaled }
  /// True when the package can write the format.
  public var isEncodable: Bool { row.pointee.encode != nil }

  /// Bytes of `values` consecutive values.
  ///
  /// - Throws: `FormatError.brokenBlock` when `values` is not a whole number of blocks, `.overflow` when the bytes do not fit.
  public func bytes(values: Int) throws(FormatError) -> Int {
    guard values >= 0, values % blockValues == 0 else {
      throw .brokenBlock(format: name, blockValues: blockValues, values: values)
    }
    let (bytes, overflow) = (values / blockValues).multipliedReportingOverflow(by: blockBytes)
    if overflow { throw .overflow(format: name, values: values) }
    return bytes
  }

  /// Widens `count` values to f32 with the portable decoder.
  ///
  /// - Throws: `FormatError.brokenBlock`, or `.shortBuffer` when `bytes` holds less than `count` values.
  public func decode(_ bytes: UnsafeRawBufferPointer, count: Int, scale: Float = 1, zero: Float = 0) throws(FormatError) -> [Float] {
    let needed = try self.bytes(values: count)
    guard bytes.count >= needed else { throw .shortBuffer(format: name, needed: needed, found: bytes.count) }
    // Arrays of nothing share their header, which the initializer would write to.
    guard count > 0 else { return [] }
    return [Float](unsafeUninitializedCapacity: count) { out, initialized in
      row.pointee.decode(bytes.baseAddress!, Int64(count), scale, zero, out.baseAddress!)
      initialized = count
    }
  }

  /// Rounds `values` (whole blocks) to the format.
  ///
  /// - Throws: `FormatError.noEncoder` or `.brokenBlock`.
  public func encode(_ values: [Float]) throws(FormatError) -> [UInt8] {
    let needed = try bytes(values: values.count)
    guard let encode = row.pointee.encode else { throw .noEncoder(format: name) }
    // Arrays of nothing share their header, which the initializer would write to.
    guard needed > 0 else { return [] }
    return [UInt8](unsafeUninitializedCapacity: needed) { out, initialized in
      values.withUnsafeBufferPointer { encode($0.baseAddress!, Int64(values.count), out.baseAddress!) }
      initialized = needed
    }
  }
}

/// What can be wrong with values and blocks of a weight format.
public enum FormatError: Error, Equatable, CustomStringConvertible {
  /// The values are no whole number of blocks.
  case brokenBlock(format: String, blockValues: Int, values: Int)
  /// The bytes do not fit in the address space.
  case overflow(format: String, values: Int)
  /// Fewer bytes than the values need.
  case shortBuffer(format: String, needed: Int, found: Int)
  /// The package reads the format and does not write it.
  case noEncoder(format: String)

  public var description: String {
    switch self {
    case .brokenBlock(let format, let blockValues, let values):
      "\(format) has blocks of \(blockValues) values: \(values) values are not a whole number of blocks"
    case .overflow(let format, let values): "\(values) values of \(format) do not fit in the address space"
    case .shortBuffer(let format, let needed, let found): "\(format) needs \(needed) bytes, found \(found)"
    case .noEncoder(let format): "\(format) can be read, not written"
    }
  }
}

extension WeightFormat {
  /// Widens `count` values; the memory is the caller's care.
  package func widen(_ bytes: UnsafeRawPointer, count: Int, into out: UnsafeMutablePointer<Float>) {
    row.pointee.decode(bytes, Int64(count), 1, 0, out)
  }

  /// Rounds `count` values; the memory is the caller's care.
  package func round(_ values: UnsafePointer<Float>, count: Int, into bytes: UnsafeMutableRawPointer) {
    row.pointee.encode(values, Int64(count), bytes)
  }
}
