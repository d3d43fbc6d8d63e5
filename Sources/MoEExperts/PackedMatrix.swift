// One weight matrix of an expert, still packed, as the kernels read it.

package import CMoEKernels
public import MoETensors

/// A [rows, columns] weight matrix, y = W x, in a weight format; its values are never expanded in memory.
///
/// The bytes are borrowed from the checkpoint where its layout already is row after row, and repacked copies elsewhere.
public struct PackedMatrix: @unchecked Sendable {
  /// How the codes lie in memory.
  public let format: WeightFormat
  /// Output width.
  public let rows: Int
  /// Input width.
  public let columns: Int
  /// Bytes from one row to the next.
  public let rowBytes: Int
  /// Scales (and zero points) of formats that keep them beside the codes.
  public let scales: ScalePlane?
  /// Stored column j multiplies input `inputOrder[j]`; nil for the identity (GPTQ's act-order sets it).
  public let inputOrder: [Int32]?
  let data: UnsafeRawPointer
  let owner: AnyObject

  init(
    format: WeightFormat, rows: Int, columns: Int, data: UnsafeRawPointer, owner: AnyObject, scales: ScalePlane? = nil,
    inputOrder: [Int32]? = nil
  ) throws(FormatError) {
    self.rowBytes = try format.bytes(values: columns)
    self.format = format
    self.rows = rows
    self.columns = columns
    self.data = data
    self.owner = owner
    self.scales = scales
    self.inputOrder = inputOrder
  }

  /// Bytes that the matrix keeps in memory: codes, scales, zero points and input order.
  public var residentBytes: Int {
    rows * rowBytes + (scales?.residentBytes ?? 0) + (inputOrder?.count ?? 0) * MemoryLayout<Int32>.size
  }

  /// The matrix as the kernels take it; valid while `self` lives.
  package var borrowed: moe_matrix {
    var matrix = moe_matrix()
    matrix.format = format.index
    matrix.rows = Int64(rows)
    matrix.columns = Int64(columns)
    matrix.row_bytes = Int64(rowBytes)
    matrix.data = data
    matrix.global_scale = 1
    scales?.describe(in: &matrix)
    return matrix
  }

  /// Rows [first, first + count) widened to f32 with the portable decoder, columns in the order of the input.
  ///
  /// - Precondition: the rows exist.
  public func decoded(rows first: Int = 0, count: Int? = nil) -> [Float] {
    let count = count ?? rows - first
    precondition(first >= 0 && count >= 0 && first + count <= rows)
    var matrix = borrowed
    var stored = [Float](repeating: 0, count: columns)
    var values = [Float](repeating: 0, count: count * columns)
    for row in 0..<count where columns > 0 {
      moe_matrix_decode(&matrix, Int64(first + row), 0, Int64(columns), &stored)
      for column in 0..<columns { values[row * columns + (inputOrder.map { Int($0[column]) } ?? column)] = stored[column] }
    }
    return values
  }
}
