// Random packed matrices of every format and every arrangement of scales.

import CMoEKernels
import MoEReference
import MoETensors

extension SeededRandom {
  mutating func floats(_ count: Int) -> [Float] { floats(count, in: -1...1) }
}

/// Scales and zero points beside the codes.
struct ScaleArrangement: Sendable {
  var name: String
  var type: moe_scale_type
  var width: Int
  /// Columns of a group; 0 for the whole row.
  var group: Int
  var groupRows = 1
  var isFlat = false
  var hasZeros = false
  var global: Float = 1

  /// What the package's packers make of a scaled format; no scales for the others.
  static func all(of format: WeightFormat) -> [ScaleArrangement?] {
    switch format.name {
    case "f8_e4m3", "f8_e5m2":
      [
        .init(name: "row f32", type: MOE_SCALE_F32, width: 4, group: 0),
        .init(name: "block bf16", type: MOE_SCALE_BF16, width: 2, group: 16, groupRows: 8),
        .init(name: "odd block f32", type: MOE_SCALE_F32, width: 4, group: 11, groupRows: 3),
        .init(name: "wide block f32", type: MOE_SCALE_F32, width: 4, group: 64, groupRows: 12),
        .init(name: "blocks of 128, bf16, global", type: MOE_SCALE_BF16, width: 2, group: 128, groupRows: 128, global: 0.37), nil,
      ]
    case "int4":
      [
        .init(name: "f32, zeros", type: MOE_SCALE_F32, width: 4, group: 32, hasZeros: true),
        .init(name: "f16, zeros", type: MOE_SCALE_F16, width: 2, group: 16, hasZeros: true),
        .init(name: "f16, zeros, global", type: MOE_SCALE_F16, width: 2, group: 128, hasZeros: true, global: 0.37),
        .init(name: "bf16", type: MOE_SCALE_BF16, width: 2, group: 64),
        .init(name: "row f32, zeros", type: MOE_SCALE_F32, width: 4, group: 0, hasZeros: true),
      ]
    case "nf4": [.init(name: "flat f32", type: MOE_SCALE_F32, width: 4, group: 64, isFlat: true)]
    case "e2m1":
      [
        .init(name: "e8m0", type: MOE_SCALE_E8M0, width: 1, group: 32),
        .init(name: "e4m3, global", type: MOE_SCALE_E4M3, width: 1, group: 16, global: 0.37),
      ]
    default: [nil]
    }
  }
}

/// A matrix in memory of its own, not a byte longer than it is, its values widened by the portable decoder.
final class RandomMatrix {
  let format: WeightFormat
  let rows: Int, columns: Int
  let values: [Float]
  private let data: UnsafeMutableRawBufferPointer
  private let scales: UnsafeMutableRawBufferPointer
  private let zeros: UnsafeMutableBufferPointer<UInt8>
  private(set) var matrix: moe_matrix

  init(_ format: WeightFormat, rows: Int, columns: Int, _ arrangement: ScaleArrangement?, _ random: inout SeededRandom) throws {
    self.format = format
    (self.rows, self.columns) = (rows, columns)
    let rowBytes = try format.bytes(values: columns)
    let codes = try Self.codes(format, rows * columns, &random)
    data = .allocate(byteCount: rows * rowBytes, alignment: 1)
    data.copyBytes(from: codes)
    matrix = moe_matrix()
    matrix.format = format.index
    (matrix.rows, matrix.columns, matrix.row_bytes) = (Int64(rows), Int64(columns), Int64(rowBytes))
    matrix.data = UnsafeRawPointer(data.baseAddress!)
    matrix.global_scale = 1
    var bytes: [UInt8] = []
    if let arrangement {
      let group = arrangement.group == 0 ? columns : arrangement.group
      let stride = arrangement.isFlat ? 0 : (columns + group - 1) / group
      let count = arrangement.isFlat ? (rows * columns + group - 1) / group : (rows + arrangement.groupRows - 1) / arrangement.groupRows * stride
      for _ in 0..<count { bytes += Self.scale(arrangement.type, &random) }
      matrix.scale_type = arrangement.type
      matrix.flat = arrangement.isFlat
      (matrix.group, matrix.group_rows, matrix.scale_stride) = (Int64(group), Int64(arrangement.groupRows), Int64(stride))
      matrix.global_scale = arrangement.global
      zeros = .allocate(capacity: count)
      _ = zeros.initialize(from: (0..<count).map { _ in UInt8.random(in: 0...16, using: &random) })
    } else {
      zeros = .allocate(capacity: 1)
      zeros.initialize(repeating: 0)
    }
    scales = .allocate(byteCount: bytes.count, alignment: 4)
    scales.copyBytes(from: bytes)
    if arrangement != nil { matrix.scales = UnsafeRawPointer(scales.baseAddress!) }
    if arrangement?.hasZeros == true { matrix.zeros = UnsafePointer(zeros.baseAddress!) }
    var widened = [Float](repeating: .nan, count: rows * columns), borrowed = matrix
    for row in 0..<rows { widened.withUnsafeMutableBufferPointer { moe_matrix_decode(&borrowed, Int64(row), 0, Int64(columns), $0.baseAddress! + row * columns) } }
    values = widened
  }

  deinit {
    data.deallocate()
    scales.deallocate()
    zeros.deallocate()
  }

  var takesRounded: Bool { moe_takes_rounded(&matrix) }

  /// The same matrix in panels, packed by a table in two calls; nil for formats and arrangements without panels.
  func panels(by table: KernelTable) -> Panels? {
    let width = Int(moe_panel_rows(format.index))
    guard moe_takes_panels(&matrix) else { return nil }
    let size = Int(moe_panel_bytes(&matrix)), panels = Panels(bytes: (rows + width - 1) / width * size, of: matrix)
    let scratch = UnsafeMutablePointer<Float>.allocate(capacity: Int(moe_gemm_scratch()))
    defer { scratch.deallocate() }
    let pack = table.row.pointee.formats[Int(format.index)].pack!, half = min(rows, width)
    pack(&matrix, 0, Int64(half), panels.data.baseAddress, scratch)
    if half < rows { pack(&matrix, Int64(half), Int64(rows), panels.data.baseAddress! + size, scratch) }
    return panels
  }

  /// Encoded random values, or random blocks of moderate value where the package cannot write the format.
  private static func codes(_ format: WeightFormat, _ count: Int, _ random: inout SeededRandom) throws -> [UInt8] {
    if format.isEncodable {
      let range: ClosedRange<Float> = format.name == "int4" ? 0...15 : format.name == "e2m1" ? -6...6 : -1...1
      return try format.encode(random.floats(count, in: range))
    }
    var bytes: [UInt8] = []
    while bytes.count < count / format.blockValues * format.blockBytes {
      let block = (0..<format.blockBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
      let values = try block.withUnsafeBytes { try format.decode($0, count: format.blockValues) }
      if values.allSatisfy({ abs($0) <= 100 }) && values.contains(where: { abs($0) > 1e-3 }) { bytes += block }
    }
    return bytes
  }

  private static func scale(_ type: moe_scale_type, _ random: inout SeededRandom) -> [UInt8] {
    switch type {
    case MOE_SCALE_F32: return withUnsafeBytes(of: Float.random(in: 0.01...2, using: &random).bitPattern.littleEndian) { Array($0) }
    case MOE_SCALE_F16: return [UInt8.random(in: 0...255, using: &random), UInt8.random(in: 0x28...0x3f, using: &random)]
    case MOE_SCALE_BF16: return [UInt8.random(in: 0...255, using: &random), 0x3e]
    case MOE_SCALE_E4M3: return [UInt8.random(in: 0x20...0x50, using: &random)]
    default: return [UInt8.random(in: 120...130, using: &random)]
    }
  }
}

/// A matrix in panels, in memory of exactly their size.
final class Panels {
  let data: UnsafeMutableRawBufferPointer
  private(set) var matrix: moe_matrix

  init(bytes: Int, of source: moe_matrix) {
    data = .allocate(byteCount: bytes, alignment: 64)
    data.initializeMemory(as: UInt8.self, repeating: 0xAA)
    matrix = source
    matrix.layout = MOE_PANELS
    matrix.format = moe_panel_format(&matrix)
    matrix.row_bytes = 0
    matrix.data = UnsafeRawPointer(data.baseAddress!)
  }

  deinit { data.deallocate() }
}
