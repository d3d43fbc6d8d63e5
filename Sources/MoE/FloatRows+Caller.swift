// f32 rows of one forward pass: the caller's own memory where it is f32 already, a buffer elsewhere.

internal import MoEExperts
internal import MoEGroupedGEMM
internal import MoETensors

extension FloatRows {
  /// The caller's rows: borrowed when f32, widened otherwise.
  init(widening input: RowView, by backend: any GroupedGEMMBackend) {
    guard input.format != .f32 else {
      let base = UnsafeMutableRawPointer(mutating: input.base).assumingMemoryBound(to: Float.self)
      self.init(base: base, count: input.count, columns: input.columns, stride: input.stride)
      return
    }
    let rows = FloatRows(count: input.count, columns: input.columns), width = input.format.blockBytes
    backend.forEach(input.count) { row in
      input.format.widen(input.base + row * input.stride * width, count: input.columns, into: rows.row(row))
    }
    self = rows
  }

  /// Where results are collected: the caller's rows when f32, a buffer otherwise.
  init(receiving output: MutableRowView) {
    guard output.format == .f32 else {
      self.init(count: output.count, columns: output.columns)
      return
    }
    self.init(
      base: output.base.assumingMemoryBound(to: Float.self), count: output.count, columns: output.columns, stride: output.stride)
  }

  /// These rows, or their projection when there is one.
  func projected(by matrix: PackedMatrix?, _ backend: any GroupedGEMMBackend) -> FloatRows {
    guard let matrix else { return self }
    let projected = FloatRows(count: count, columns: matrix.rows)
    backend.project(matrix, self, into: projected)
    return projected
  }

  /// Adds one vector to every row.
  func add(_ bias: [Float], _ backend: any GroupedGEMMBackend) {
    backend.forEach(count) { index in for column in 0..<columns { row(index)[column] += bias[column] } }
  }

  /// Rounds a buffer to the caller's rows; f32 results are there already.
  func store(into output: MutableRowView, by backend: any GroupedGEMMBackend) {
    guard output.format != .f32 else { return }
    let width = output.format.blockBytes
    backend.forEach(count) { index in
      output.format.round(row(index), count: columns, into: output.base + index * output.stride * width)
    }
  }
}
