// Activations rounded to int8 by a kernel table, with the values they stand for.

import CMoEKernels
import MoETensors

/// Codes, scales and sums of rows whose width is a multiple of 32.
struct Int8Rows {
  let columns: Int
  private(set) var codes: [Int8]
  private(set) var scales: [Float]
  private(set) var sums: [Float]

  init(_ x: [Float], columns: Int, by table: KernelTable) {
    self.columns = columns
    codes = [Int8](repeating: -128, count: x.count)
    scales = [Float](repeating: .infinity, count: x.count / 32)
    sums = scales
    table.row.pointee.quantize_int8(x, Int64(x.count), &codes, &scales, &sums)
  }

  /// code * scale, exact to f32's rounding.
  var values: [Float] { codes.indices.map { Float(codes[$0]) * scales[$0 / 32] } }

  func withRows(_ body: (inout moe_int8_rows) -> Void) {
    codes.withUnsafeBufferPointer { codes in
      scales.withUnsafeBufferPointer { scales in
        sums.withUnsafeBufferPointer { sums in
          var rows = moe_int8_rows(codes: codes.baseAddress, scales: scales.baseAddress, sums: sums.baseAddress, stride: Int64(columns))
          body(&rows)
        }
      }
    }
  }
}
