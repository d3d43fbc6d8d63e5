// Rounded activations, in the tiles that kernels of a format read, expert after expert.

internal import CMoEKernels
internal import MoEExperts
internal import MoETensors

/// Rows of a stage, rounded once for each format that reads them.
///
/// The rows of an expert lie at their place in the plan, cut into calls of `tokenTile` rows from the expert's first on.
struct RoundedRows {
  /// By format index; nil for formats that do not read these rows rounded.
  private let places: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  private let kernels: UnsafePointer<moe_kernels>, precision: ActivationPrecision
  private let columns: Int
  /// True when all experts read the only row there is.
  private let isOneRow: Bool

  /// Room for `rows` rows of `columns` values for each of the formats that the backend multiplies on rounded activations, valid until the buffer is
  /// asked for another size; nil where there are none.
  init?(_ formats: [WeightFormat], by backend: CPUBackend, rows: Int, columns: Int, isOneRow: Bool = false, in buffer: GrowableBuffer) {
    guard formats.contains(where: { backend.rounds($0) }) else { return nil }
    (kernels, precision) = (backend.kernels.row, backend.precision)
    (self.columns, self.isOneRow) = (columns, isOneRow)
    func bytes(_ format: WeightFormat) -> Int { (rows * backend.precision.rowBytes(format.index, columns) + 63) / 64 * 64 }
    let all = Int(moe_format_count()), table = (all * MemoryLayout<UnsafeRawPointer?>.stride + 63) / 64 * 64
    let memory: UnsafeMutablePointer<UInt8> = buffer.room(for: table + formats.reduce(0) { $0 + (backend.rounds($1) ? bytes($1) : 0) })
    places = UnsafeMutableRawPointer(memory).bindMemory(to: UnsafeMutableRawPointer?.self, capacity: all)
    places.initialize(repeating: nil, count: all)
    var end = UnsafeMutableRawPointer(memory) + table
    for format in formats where backend.rounds(format) {
      places[Int(format.index)] = end
      end += bytes(format)
    }
  }

  /// The rows of a kernel's call that begins with row `row` of the plan; nil where the matrix does not read them rounded.
  func tile(of matrix: borrowing BorrowedMatrix, row: Int) -> UnsafeMutableRawPointer? {
    matrix.suitsRounded ? tile(matrix.matrix.format, row: row) : nil
  }

  private func tile(_ format: Int32, row: Int) -> UnsafeMutableRawPointer? {
    guard let place = places[Int(format)] else { return nil }
    return isOneRow ? place : place + row * precision.rowBytes(format, columns)
  }

  /// Rounds rows of one call for every format.
  func round(_ tile: Range<Int>, from x: UnsafePointer<Float>, stride: Int, list: UnsafePointer<Int32>?) {
    for format in 0..<moe_format_count() {
      guard let target = self.tile(format, row: tile.lowerBound) else { continue }
      round(0..<columns, of: x, stride: stride, list: list, count: tile.count, for: format, into: target)
    }
  }

  /// Rounds some columns of the rows of one call, whose tile is `target`; x is at the first of these columns.
  func round(
    _ part: Range<Int>, of x: UnsafePointer<Float>, stride: Int, list: UnsafePointer<Int32>? = nil, count: Int, for format: Int32,
    into target: UnsafeMutableRawPointer
  ) {
    let kernel = kernels.pointee.formats + Int(format), round = precision == .int8 ? kernel.pointee.round_int8 : kernel.pointee.round_bf16
    round!(x, Int64(stride), list, Int64(count), Int64(part.lowerBound), Int64(part.count), Int64(columns), target)
  }

  /// The product with `count` rounded rows at `tile`, as `gemm` otherwise.
  func multiply(
    _ matrix: inout moe_matrix, _ weightRows: Range<Int>, _ tile: UnsafeRawPointer, count: Int, segment: Int, into out: UnsafeMutablePointer<Float>,
    stride: Int, _ scratch: WorkerScratch
  ) {
    let kernel = kernels.pointee.formats + Int(matrix.format), product = precision == .int8 ? kernel.pointee.gemm_int8 : kernel.pointee.gemm_bf16
    product!(
      &matrix, Int64(weightRows.lowerBound), Int64(weightRows.upperBound), tile, Int64(count), Int64(segment), out, Int64(stride), scratch.gemm)
  }
}

extension ActivationPrecision {
  /// Bytes of a rounded row for products with a format.
  fileprivate func rowBytes(_ format: Int32, _ columns: Int) -> Int {
    Int(self == .int8 ? moe_int8_row_bytes(format, Int64(columns)) : moe_bf16_row_bytes(Int64(columns)))
  }
}
