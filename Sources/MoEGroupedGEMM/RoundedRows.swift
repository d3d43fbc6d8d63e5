// Activations rounded to int8, in the tiles that kernels of a format read, expert after expert.

internal import CMoEKernels
internal import MoEExperts
internal import MoETensors

/// Rows of a stage, rounded once for each format that reads them.
///
/// The rows of an expert lie at their place in the plan, cut into calls of `tokenTile` rows from the expert's first on.
struct RoundedRows {
  /// By format index; nil for formats that do not read these rows on int8.
  private let places: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  let columns: Int
  /// True when all experts read the only row there is.
  private let isOneRow: Bool

  /// Room for `rows` rows of `columns` values for each of the formats that are `included`, valid until the buffer is asked for another size; nil
  /// where none is.
  init?(
    _ formats: [WeightFormat], where included: (WeightFormat) -> Bool, rows: Int, columns: Int, isOneRow: Bool = false, in buffer: GrowableBuffer
  ) {
    guard formats.contains(where: included) else { return nil }
    func bytes(_ format: WeightFormat) -> Int { (rows * Int(moe_int8_row_bytes(format.index, Int64(columns))) + 63) / 64 * 64 }
    let all = Int(moe_format_count()), table = (all * MemoryLayout<UnsafeRawPointer?>.stride + 63) / 64 * 64
    let memory: UnsafeMutablePointer<UInt8> = buffer.room(for: table + formats.reduce(0) { $0 + (included($1) ? bytes($1) : 0) })
    places = UnsafeMutableRawPointer(memory).bindMemory(to: UnsafeMutableRawPointer?.self, capacity: all)
    places.initialize(repeating: nil, count: all)
    var end = UnsafeMutableRawPointer(memory) + table
    for format in formats where included(format) {
      places[Int(format.index)] = end
      end += bytes(format)
    }
    (self.columns, self.isOneRow) = (columns, isOneRow)
  }

  /// The rows of a kernel's call that begins with row `row` of the plan; nil where the matrix does not read int8.
  func tile(of matrix: BorrowedMatrix, row: Int) -> UnsafeMutableRawPointer? {
    guard matrix.suitsInt8, let place = places[Int(matrix.matrix.format)] else { return nil }
    return isOneRow ? place : place + row * Int(moe_int8_row_bytes(matrix.matrix.format, Int64(columns)))
  }

  /// Rounds rows of one call for every format.
  func round(_ tile: Range<Int>, from x: UnsafePointer<Float>, stride: Int, list: UnsafePointer<Int32>?, by kernels: UnsafePointer<moe_kernels>) {
    for format in 0..<moe_format_count() {
      guard let place = places[Int(format)] else { continue }
      kernels.pointee.formats[Int(format)].round_int8(
        x, Int64(stride), list, Int64(tile.count), 0, Int64(columns), Int64(columns),
        isOneRow ? place : place + tile.lowerBound * Int(moe_int8_row_bytes(format, Int64(columns))))
    }
  }
}
