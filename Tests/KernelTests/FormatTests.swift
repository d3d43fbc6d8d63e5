// Every weight format against the blocks, values and code tables of the reference packages.

import CMoEKernels
import Foundation
import MoETensors
import Testing

@Suite struct FormatTests {
  private static let quants = Fixture("quants.safetensors")
  private static let packed = Fixture("packed.safetensors")
  static let types = Set(quants.names.map { String($0.prefix { $0 != "." }) }).sorted()
  static let encodable = WeightFormat.all.filter(\.isEncodable)

  @Test func everyFixtureTypeHasAFormat() {
    let missing = Self.types.filter { WeightFormat(named: $0.lowercased()) == nil }
    #expect(missing.isEmpty, "no format for \(missing)")
    #expect(Self.types.count >= 25)
    #expect(WeightFormat.all.count >= Self.types.count + 6)
  }

  @Test func namesAndNumbersAreUnique() {
    #expect(Set(WeightFormat.all.map(\.name)).count == WeightFormat.all.count)
    let numbers = WeightFormat.all.compactMap(\.ggufType)
    #expect(Set(numbers).count == numbers.count)
    for format in WeightFormat.all { #expect(WeightFormat(named: format.name) == format) }
  }

  @Test(arguments: types)
  func decodesLikeTheReference(type: String) throws {
    let format = try #require(WeightFormat(named: type.lowercased()))
    for kind in ["random", "gauss"] where Self.quants.names.contains("\(type).\(kind).raw") {
      let raw = Self.quants.bytes("\(type).\(kind).raw"), expected = Self.quants.floats("\(type).\(kind).f32")
      try #require(try format.bytes(values: expected.count) == raw.count)
      let found = try raw.withUnsafeBytes { bytes throws in try format.decode(bytes, count: expected.count) }
      #expect(firstDifference(found, expected) == nil, "\(type).\(kind)")
    }
  }

  @Test(arguments: types)
  func encodesLikeTheReference(type: String) throws {
    guard Self.quants.names.contains("\(type).gauss.source") else { return }
    let format = try #require(WeightFormat(named: type.lowercased()))
    let found = try format.encode(Self.quants.floats("\(type).gauss.source"))
    #expect(found == Self.quants.bytes("\(type).gauss.raw"))
  }

  @Test(arguments: [("f8_e4m3", "table.f8_e4m3fn"), ("f8_e5m2", "table.f8_e5m2"), ("e2m1", "table.f4_e2m1"), ("nf4", "table.nf4")])
  func codesHaveTheTablesValues(name: String, table: String) throws {
    let format = try #require(WeightFormat(named: name)), expected = Self.packed.floats(table)
    let codes = (0..<expected.count).map(UInt8.init)
    let bytes = format.blockValues == 2 ? codes.map { $0 | $0 << 4 } : codes
    let found = try bytes.withUnsafeBytes { bytes throws in try format.decode(bytes, count: bytes.count * format.blockValues) }
    for lane in 0..<format.blockValues {
      let values = stride(from: lane, to: found.count, by: format.blockValues).map { found[$0] }
      #expect(firstDifference(values, expected) == nil)
    }
    let finite = expected.filter { !$0.isNaN }
    let again = try format.encode(finite)
    let back = try again.withUnsafeBytes { bytes throws in try format.decode(bytes, count: finite.count) }
    #expect(firstDifference(back, finite) == nil)
  }

  @Test func int4TakesScaleAndZero() throws {
    let format = try #require(WeightFormat(named: "int4"))
    let bytes: [UInt8] = (0..<8).map { UInt8(2 * $0) | UInt8(2 * $0 + 1) << 4 }
    let found = try bytes.withUnsafeBytes { bytes throws in try format.decode(bytes, count: 16, scale: 0.1, zero: 8) }
    #expect(found == (0..<16).map { (Float($0) - 8) * 0.1 })
    #expect(try format.encode((0..<16).map(Float.init)) == bytes)
    #expect(try format.encode([-3, 99]) == [0xf0])
  }

  @Test(arguments: WeightFormat.all)
  func decodesFromAnyAddress(format: WeightFormat) throws {
    let blocks = format.blockBytes == 1 ? 64 : 5, size = blocks * format.blockBytes
    var random = Random(seed: 7)
    let payload = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let expected = try payload.withUnsafeBytes { bytes throws in try format.decode(bytes, count: blocks * format.blockValues) }
    for shift in 1..<8 {
      let moved = [UInt8](repeating: 0, count: shift) + payload
      let found = try moved.withUnsafeBytes { bytes throws in
        try format.decode(UnsafeRawBufferPointer(rebasing: bytes[shift...]), count: expected.count)
      }
      #expect(firstDifference(found, expected) == nil)
    }
  }

  /// The largest error of values up to 1 (scaled formats: up to their largest code), as a part of that range.
  static let steps: [String: Float] = [
    "f32": 0, "f16": 0x1p-12, "bf16": 0x1p-9, "q8_0": 0.0043, "q4_0": 0.126, "q4_1": 0.068, "q5_0": 0.063, "q5_1": 0.033,
    "q4_k": 0.13, "q5_k": 0.07, "q6_k": 0.035, "iq4_nl": 0.2, "tq1_0": 0.501, "tq2_0": 0.501, "f8_e4m3": 0.036, "f8_e5m2": 0.072,
    "int4": 0.034, "nf4": 0.153, "e2m1": 0.167,
  ]

  @Test(arguments: encodable)
  func roundTripStaysWithinAStep(format: WeightFormat) throws {
    let range: [String: ClosedRange<Float>] = [
      "int4": 0...15, "e2m1": -6...6, "f8_e4m3": -448...448, "f8_e5m2": -57344...57344,
    ]
    let limits = range[format.name] ?? -1...1
    var random = Random(seed: 3)
    let values = (0..<256 * 40).map { _ in Float.random(in: limits, using: &random) }
    let bytes = try format.encode(values)
    let back = try bytes.withUnsafeBytes { bytes throws in try format.decode(bytes, count: values.count) }
    let worst = zip(values, back).map { abs($0 - $1) }.max()! / limits.upperBound
    #expect(worst <= Self.steps[format.name] ?? 0.25)
  }

  @Test(arguments: encodable)
  func anyInputIsWritten(format: WeightFormat) throws {
    var random = Random(seed: 5)
    let bits = (0..<1024).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: random.next())) }
    let extremes: [Float] = [.nan, .infinity, -.infinity, .greatestFiniteMagnitude, .leastNonzeroMagnitude, -0.0, 1, -3]
    var inputs = extremes.map { [Float](repeating: $0, count: 256) } + [bits]
    inputs.append((0..<1024).map { $0 % 3 == 0 ? extremes[$0 / 3 % extremes.count] : 0.5 })
    for input in inputs { #expect(try format.encode(input).count == format.bytes(values: input.count)) }
    let zeros = try format.encode([Float](repeating: 0, count: 256))
    let back = try zeros.withUnsafeBytes { bytes throws in try format.decode(bytes, count: 256) }
    #expect(back.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [("q4_k", "q4_1", 0.0715), ("q5_k", "q5_1", 0.036), ("q6_k", "", 0.0175)])
  func searchBeatsMinimumAndMaximum(name: String, simple: String, limit: Double) throws {
    var random = Random(seed: 11)
    let rows = (0..<256 * 64).map { _ in random.gaussian() * 0.05 }
    func error(_ back: [Float]) -> Double {
      let noise = zip(rows, back).reduce(0.0) { $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1)) }
      return (noise / rows.reduce(0.0) { $0 + Double($1 * $1) }).squareRoot()
    }
    func error(of name: String) throws -> Double {
      let format = try #require(WeightFormat(named: name))
      let bytes = try format.encode(rows)
      return error(try bytes.withUnsafeBytes { bytes throws in try format.decode(bytes, count: rows.count) })
    }
    let found = try error(of: name)
    #expect(found < limit)
    if simple.isEmpty {
      let groups = stride(from: 0, to: rows.count, by: 16).map { Array(rows[$0..<$0 + 16]) }
      let plain = groups.flatMap { group in
        let step = group.map(abs).max()! / 31
        return group.map { ($0 / step).rounded() * step }
      }
      #expect(found < error(plain))
    } else {
      #expect(try found < error(of: simple))
    }
  }

  func matrix(
    _ name: String, data: [UInt8], scales: [UInt8], scaleType: moe_scale_type, zeros: [UInt8]? = nil, shape: [Int],
    rowBytes: Int, group: Int, groupRows: Int = 1, stride: Int = 0, flat: Bool = false, global: Float = 1
  ) throws -> [Float] {
    let format = try #require(WeightFormat(named: name))
    return data.withUnsafeBytes { data in
      scales.withUnsafeBytes { scales in
        (zeros ?? [0]).withUnsafeBufferPointer { zero in
          var w = moe_matrix()
          w.format = format.index
          w.rows = Int64(shape[0])
          w.columns = Int64(shape[1])
          w.row_bytes = Int64(rowBytes)
          w.data = data.baseAddress
          w.scale_type = scaleType
          w.flat = flat
          w.scales = scales.baseAddress
          w.zeros = zeros == nil ? nil : zero.baseAddress
          w.group = Int64(group)
          w.group_rows = Int64(groupRows)
          w.scale_stride = Int64(stride)
          w.global_scale = global
          var out = [Float](repeating: .nan, count: shape[0] * shape[1])
          out.withUnsafeMutableBufferPointer { out in
            for row in 0..<shape[0] {
              moe_matrix_decode(&w, Int64(row), 0, Int64(shape[1]), out.baseAddress! + row * shape[1])
            }
          }
          return out
        }
      }
    }
  }

  @Test func mxfp4MatrixOfCheckpoints() throws {
    let found = try matrix(
      "e2m1", data: Self.packed.bytes("mxfp4.blocks"), scales: Self.packed.bytes("mxfp4.scales"), scaleType: MOE_SCALE_E8M0,
      shape: [48, 64], rowBytes: 32, group: 32, stride: 2)
    #expect(firstDifference(found, Self.packed.floats("mxfp4.f32")) == nil)
  }

  @Test func nvfp4MatrixOfCheckpoints() throws {
    let found = try matrix(
      "e2m1", data: Self.packed.bytes("nvfp4.weight"), scales: Self.packed.bytes("nvfp4.weight_scale_e4m3"),
      scaleType: MOE_SCALE_E4M3, shape: [48, 64], rowBytes: 32, group: 16, stride: 4,
      global: Self.packed.floats("nvfp4.weight_scale_2")[0])
    #expect(firstDifference(found, Self.packed.floats("nvfp4.f32")) == nil)
  }

  @Test func nf4MatrixOfCheckpoints() throws {
    let found = try matrix(
      "nf4", data: Self.packed.bytes("nf4.weight").map { $0 << 4 | $0 >> 4 }, scales: Self.packed.bytes("nf4.absmax"),
      scaleType: MOE_SCALE_F32, shape: [48, 64], rowBytes: 32, group: 64, flat: true)
    #expect(firstDifference(found, Self.packed.floats("nf4.f32")) == nil)
  }

  @Test func int4MatrixOfCheckpoints() throws {
    let found = try matrix(
      "int4", data: Self.packed.bytes("ct_int4.weight_packed"), scales: Self.packed.bytes("ct_int4.weight_scale"),
      scaleType: MOE_SCALE_F16, zeros: [UInt8](repeating: 8, count: 96), shape: [48, 64], rowBytes: 32, group: 32, stride: 2)
    #expect(firstDifference(found, Self.packed.floats("ct_int4.f32")) == nil)
  }

  @Test func blockFP8MatrixOfCheckpoints() throws {
    let found = try matrix(
      "f8_e4m3", data: Self.packed.bytes("fp8_block.weight_e4m3"), scales: Self.packed.bytes("fp8_block.weight_scale_inv"),
      scaleType: MOE_SCALE_F32, shape: [56, 80], rowBytes: 80, group: 32, groupRows: 32, stride: 3)
    #expect(firstDifference(found, Self.packed.floats("fp8_block.f32")) == nil)
  }
}

/// The first index where two arrays differ in bits, any NaN being equal to any other; nil when there is none.
private func firstDifference(_ a: [Float], _ b: [Float]) -> String? {
  if a.count != b.count { return "\(a.count) values, expected \(b.count)" }
  let index = a.indices.first { a[$0].bitPattern != b[$0].bitPattern && !(a[$0].isNaN && b[$0].isNaN) }
  return index.map { "[\($0)] \(a[$0]), expected \(b[$0])" }
}

/// SplitMix64.
private struct Random: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }

  mutating func gaussian() -> Float {
    let radius = (-2 * log(Double.random(in: 0x1p-60...1, using: &self))).squareRoot()
    return Float(radius * cos(2 * Double.pi * Double.random(in: 0..<1, using: &self)))
  }
}

/// The tensors of one safetensors file in Tests/Fixtures.
private struct Fixture: Sendable {
  private let data: Data
  private let ranges: [String: Range<Int>]

  init(_ name: String) {
    let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().appending(path: "Fixtures")
    data = try! Data(contentsOf: folder.appending(path: name))
    let start = 8 + data.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try! JSONSerialization.jsonObject(with: data[8..<start]) as! [String: [String: Any]]
    ranges = header.compactMapValues { entry in
      (entry["data_offsets"] as? [Int]).map { start + $0[0]..<start + $0[1] }
    }
  }

  var names: Set<String> { Set(ranges.keys) }
  func bytes(_ name: String) -> [UInt8] { [UInt8](data[ranges[name]!]) }
  func floats(_ name: String) -> [Float] {
    bytes(name).withUnsafeBytes { bytes in
      (0..<bytes.count / 4).map { Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self))) }
    }
  }
}
