// Offsets beyond 32 bits, in memory that is reserved but never filled.

import CMoEKernels
import Foundation
import MoETensors
import Testing

/// Zero pages that cost nothing until they are written.
private final class SparseMap {
  let base: UnsafeMutableRawPointer
  private let size: Int

  init(_ size: Int) throws {
    let flags = MAP_PRIVATE | MAP_ANON | Int32(MAP_NORESERVE)
    guard let map = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), map != MAP_FAILED else { throw POSIXError(.ENOMEM) }
    base = map
    self.size = size
  }

  deinit { munmap(base, size) }
}

@Suite struct OffsetTests {
  /// The last rows of a matrix of more than 2^32 bytes, on gathered activations more than 2^32 floats away.
  @Test(arguments: KernelTable.runnable, ["q8_0", "q4_k", "bf16"])
  func matricesBeyond32Bits(_ table: KernelTable, _ name: String) throws {
    let format = try #require(WeightFormat(named: name)), columns = 4096
    let rowBytes = try format.bytes(values: columns), rows = (1 << 32) / rowBytes + 100, last = rows - 3
    let weights = try SparseMap(rows * rowBytes)
    let values = (0..<columns).map { Float(($0 * 37) % 101) / 101 + 0.1 }
    let encoded = try format.encode(values)
    for row in last..<rows { encoded.withUnsafeBytes { (weights.base + row * rowBytes).copyMemory(from: $0.baseAddress!, byteCount: rowBytes) } }
    var matrix = moe_matrix()
    (matrix.format, matrix.rows, matrix.columns, matrix.row_bytes) = (format.index, Int64(rows), Int64(columns), Int64(rowBytes))
    (matrix.data, matrix.global_scale) = (UnsafeRawPointer(weights.base), 1)
    let decoded = try encoded.withUnsafeBytes { try format.decode($0, count: columns) }
    var widened = [Float](repeating: .nan, count: columns)
    moe_matrix_decode(&matrix, Int64(rows - 1), 0, Int64(columns), &widened)
    #expect(widened == decoded)

    let far: Int32 = 70_001, stride = 1 << 16
    let activations = try SparseMap((Int(far) + 1) * stride * 4)
    let x = activations.base.assumingMemoryBound(to: Float.self)
    for column in 0..<columns { x[Int(far) * stride + column] = Float((column * 53) % 89) / 89 + 0.1 }
    let expected = (0..<columns).reduce(0.0) { $0 + Double(decoded[$1]) * Double(x[Int(far) * stride + $1]) }
    let scratch = UnsafeMutablePointer<Float>.allocate(capacity: Int(moe_gemm_scratch()))
    defer { scratch.deallocate() }
    var y = [Float](repeating: .nan, count: 4), list = [far]
    let kernels = table.row.pointee.formats[Int(format.index)]
    kernels.gemm(&matrix, Int64(last), Int64(rows), x, Int64(stride), &list, 1, Int64(columns), &y, 4, scratch)
    for row in 0..<3 { #expect(abs(Double(y[row]) - expected) < 1e-5 * expected, "\(table) \(name) row \(row): \(y[row]), expected \(expected)") }
    #expect(y[3].isNaN)

    guard let int8 = kernels.gemm_int8 else { return }
    var rounded = [UInt8](repeating: 0, count: Int(moe_int8_row_bytes(format.index, Int64(columns))))
    kernels.round_int8(x, Int64(stride), &list, 1, 0, Int64(columns), Int64(columns), &rounded)
    y = [Float](repeating: .nan, count: 4)
    int8(&matrix, Int64(last), Int64(rows), rounded, 1, Int64(columns), &y, 4, scratch)
    for row in 0..<3 { #expect(abs(Double(y[row]) - expected) < 1e-2 * expected, "\(table) \(name) int8 row \(row): \(y[row]), expected \(expected)") }
  }

  /// The last panel of a matrix of more than 2^32 bytes.
  @Test(arguments: KernelTable.runnable, ["q8_0", "q4_k", "bf16"])
  func panelsBeyond32Bits(_ table: KernelTable, _ name: String) throws {
    let format = try #require(WeightFormat(named: name)), columns = 4096
    let rowBytes = try format.bytes(values: columns), width = Int(moe_panel_rows(format.index))
    let rows = ((1 << 32) / rowBytes + 100) / 16 * 16, last = rows - 16
    var matrix = moe_matrix()
    (matrix.format, matrix.rows, matrix.columns, matrix.row_bytes) = (format.index, 16, Int64(columns), Int64(rowBytes))
    matrix.global_scale = 1
    let size = Int(moe_panel_bytes(&matrix)), weights = try SparseMap(rows / width * size)
    let values = (0..<columns).map { Float(($0 * 37) % 101) / 101 + 0.1 }
    let encoded = try format.encode(values), published = Array(repeating: encoded, count: 16).flatMap(\.self)
    let scratch = UnsafeMutablePointer<Float>.allocate(capacity: Int(moe_gemm_scratch())), kernels = table.row.pointee.formats[Int(format.index)]
    defer { scratch.deallocate() }
    published.withUnsafeBytes { published in
      matrix.data = published.baseAddress
      kernels.pack(&matrix, 0, 16, weights.base + last / width * size, scratch)
    }
    (matrix.layout, matrix.rows, matrix.data) = (MOE_PANELS, Int64(rows), UnsafeRawPointer(weights.base))
    let decoded = try encoded.withUnsafeBytes { try format.decode($0, count: columns) }
    var widened = [Float](repeating: .nan, count: columns), y = [Float](repeating: .nan, count: 16)
    moe_matrix_decode(&matrix, Int64(rows - 1), 0, Int64(columns), &widened)
    #expect(widened == decoded)
    let x = (0..<columns).map { Float(($0 * 53) % 89) / 89 + 0.1 }
    let expected = zip(decoded, x).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
    kernels.gemm(&matrix, Int64(last), Int64(rows), x, Int64(columns), nil, 1, Int64(columns), &y, 16, scratch)
    #expect(y.allSatisfy { abs(Double($0) - expected) < 1e-5 * expected }, "\(table) \(name): \(y), expected \(expected)")
    let bytes: any RoundedRows = Int8Rows(x, columns: columns, by: table), halves: any RoundedRows = BF16Rows(columns: columns, x: x)
    for (product, activations) in [(kernels.gemm_int8, bytes), (kernels.gemm_bf16, halves)] {
      guard let product else { continue }
      y = [Float](repeating: .nan, count: 16)
      let rounded = try #require(activations.rounded(nil, count: 1, for: format, by: table))
      product(&matrix, Int64(last), Int64(rows), rounded, 1, Int64(columns), &y, 16, scratch)
      #expect(y.allSatisfy { abs(Double($0) - expected) < 1e-2 * expected }, "\(table) \(name) \(type(of: activations)): \(y), expected \(expected)")
    }
  }
}
