// f32 rows of one forward pass: the caller's own memory where it is f32 already, a buffer elsewhere.

internal import MoEExperts
internal import MoEGroupedGEMM
internal import MoETensors

/// Rows and what keeps them alive.
struct Activations {
  let rows: FloatRows
  private let owner: FloatMatrix?

  private init(borrowing rows: FloatRows) {
    self.rows = rows
    owner = nil
  }

  /// A new buffer [count, columns], not initialised.
  init(_ count: Int, _ columns: Int) {
    let matrix = FloatMatrix(count: count, columns: columns)
    rows = matrix.rows
    owner = matrix
  }

  /// The caller's rows: borrowed when f32, widened otherwise.
  init(widening input: RowView, by backend: any GroupedGEMMBackend) {
    guard input.format != .f32 else {
      let base = UnsafeMutableRawPointer(mutating: input.base).assumingMemoryBound(to: Float.self)
      self.init(borrowing: FloatRows(base: base, count: input.count, columns: input.columns, stride: input.stride))
      return
    }
    self.init(input.count, input.columns)
    let rows = rows, width = input.format.blockBytes
    backend.forEach(input.count) { row in
      input.format.widen(input.base + row * input.stride * width, count: input.columns, into: rows.row(row))
    }
  }

  /// Where results are collected: the caller's rows when f32, a buffer otherwise.
  init(receiving output: MutableRowView) {
    guard output.format == .f32 else {
      self.init(output.count, output.columns)
      return
    }
    let base = output.base.assumingMemoryBound(to: Float.self)
    self.init(borrowing: FloatRows(base: base, count: output.count, columns: output.columns, stride: output.stride))
  }

  /// These rows, or their projection when there is one.
  func projected(by matrix: PackedMatrix?, _ backend: any GroupedGEMMBackend) -> Activations {
    guard let matrix else { return self }
    let projected = Activations(rows.count, matrix.rows)
    backend.project(matrix, rows, into: projected.rows)
    return projected
  }

  /// Adds one vector to every row.
  func add(_ bias: [Float], _ backend: any GroupedGEMMBackend) {
    let rows = rows
    backend.forEach(rows.count) { row in for column in 0..<rows.columns { rows.row(row)[column] += bias[column] } }
  }

  /// Rounds a buffer to the caller's rows; f32 results are there already.
  func store(into output: MutableRowView, by backend: any GroupedGEMMBackend) {
    guard owner != nil else { return }
    let rows = rows, width = output.format.blockBytes
    backend.forEach(rows.count) { row in
      output.format.round(rows.row(row), count: rows.columns, into: output.base + row * output.stride * width)
    }
  }
}
