// Activations rounded to int8 by a kernel table, with the values they stand for.

import CMoEKernels
import MoETensors

/// f32 rows whose width is a multiple of 32, their codes and scales.
struct Int8Rows {
  let columns: Int
  private let x: [Float]
  private(set) var codes: [Int8]
  private(set) var scales: [Float]

  init(_ x: [Float], columns: Int, by table: KernelTable) {
    self.columns = columns
    self.x = x
    codes = [Int8](repeating: -128, count: x.count)
    scales = [Float](repeating: .infinity, count: x.count / 32)
    table.row.pointee.quantize_int8(x, Int64(x.count), &codes, &scales)
  }

  /// code * scale, exact to f32's rounding.
  var values: [Float] { codes.indices.map { Float(codes[$0]) * scales[$0 / 32] } }

  /// The rows of `list` (nil for the first `count`) as products with a format read them, rounded a few columns at a time.
  ///
  /// - Returns: nil when something behind them was written.
  func rounded(_ list: [Int32]?, count: Int, for format: WeightFormat, by table: KernelTable, step: Int = 64) -> [UInt8]? {
    let bytes = count * Int(moe_int8_row_bytes(format.index, Int64(columns))), margin = 64
    var rounded = [UInt8](repeating: 0xA5, count: bytes + margin)
    for column in stride(from: 0, to: columns, by: step) {
      x.withUnsafeBufferPointer { x in
        table.row.pointee.formats[Int(format.index)].round_int8(
          x.baseAddress! + column, Int64(columns), list, Int64(count), Int64(column), Int64(min(step, columns - column)), Int64(columns), &rounded)
      }
    }
    return rounded[bytes...].allSatisfy { $0 == 0xA5 } ? rounded : nil
  }
}
