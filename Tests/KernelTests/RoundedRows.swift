// Activations rounded by a kernel table to int8 and to bf16, with the values they stand for.

import CMoEKernels
import MoETensors

/// f32 rows in the form that products of a precision read.
protocol RoundedRows {
  var columns: Int { get }
  var x: [Float] { get }
  /// What the rounded rows stand for, exact to f32's rounding.
  var values: [Float] { get }
  func rowBytes(_ format: WeightFormat) -> Int
  var slot: KeyPath<moe_format_kernels, Rounding?> { get }
}

typealias Rounding = @convention(c) (
  UnsafePointer<Float>?, Int64, UnsafePointer<Int32>?, Int64, Int64, Int64, Int64, UnsafeMutableRawPointer?
) -> Void

extension RoundedRows {
  /// The rows of `list` (nil for the first `count`) as products with a format read them, rounded a few columns at a time.
  ///
  /// - Returns: nil when something behind them was written.
  func rounded(_ list: [Int32]?, count: Int, for format: WeightFormat, by table: KernelTable, step: Int = 64) -> [UInt8]? {
    let bytes = count * rowBytes(format), margin = 64, round = table.row.pointee.formats[Int(format.index)][keyPath: slot]!
    var rounded = [UInt8](repeating: 0xA5, count: bytes + margin)
    for column in stride(from: 0, to: columns, by: step) {
      x.withUnsafeBufferPointer { x in
        round(
          x.baseAddress! + column, Int64(columns), list, Int64(count), Int64(column), Int64(min(step, columns - column)), Int64(columns), &rounded)
      }
    }
    return rounded[bytes...].allSatisfy { $0 == 0xA5 } ? rounded : nil
  }
}

/// Rows whose width is a multiple of 32, their codes and scales.
struct Int8Rows: RoundedRows {
  let columns: Int
  let x: [Float]
  private(set) var codes: [Int8]
  private(set) var scales: [Float]

  init(_ x: [Float], columns: Int, by table: KernelTable) {
    self.columns = columns
    self.x = x
    codes = [Int8](repeating: -128, count: x.count)
    scales = [Float](repeating: .infinity, count: x.count / 32)
    table.row.pointee.quantize_int8(x, Int64(x.count), &codes, &scales)
  }

  var values: [Float] { codes.indices.map { Float(codes[$0]) * scales[$0 / 32] } }
  func rowBytes(_ format: WeightFormat) -> Int { Int(moe_int8_row_bytes(format.index, Int64(columns))) }
  var slot: KeyPath<moe_format_kernels, Rounding?> { \.round_int8 }
}

/// Rows of any width.
struct BF16Rows: RoundedRows {
  let columns: Int
  let x: [Float]

  /// Rounded to the nearest even by arithmetic alone; x is finite.
  var values: [Float] {
    x.map { value in
      let step = Float(sign: .plus, exponent: max(value.exponent, -126) - 7, significand: 1)
      return (value / step).rounded(.toNearestOrEven) * step
    }
  }
  func rowBytes(_ format: WeightFormat) -> Int { Int(moe_bf16_row_bytes(Int64(columns))) }
  var slot: KeyPath<moe_format_kernels, Rounding?> { \.round_bf16 }
}
