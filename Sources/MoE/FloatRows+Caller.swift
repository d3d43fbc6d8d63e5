// f32 rows of one forward pass: the caller's own memory where it is f32 already, the workspace's elsewhere.

internal import MoEPlacement
internal import MoETensors

extension FloatRows {
  /// The caller's rows: borrowed when f32, widened otherwise.
  init(widening input: RowView, in buffer: GrowableBuffer, on pool: WorkerPool) {
    if input.format == .f32 {
      let base = UnsafeMutableRawPointer(mutating: input.base).assumingMemoryBound(to: Float.self)
      self.init(base: base, count: input.count, columns: input.columns, stride: input.stride)
    } else {
      self.init(count: input.count, columns: input.columns, in: buffer)
      pool.run(tasks: input.count, WidenWork(input: input, rows: self))
    }
  }

  /// Where results are collected: the caller's rows when f32, the workspace's otherwise.
  init(receiving output: MutableRowView, in buffer: GrowableBuffer) {
    if output.format == .f32 {
      let base = output.base.assumingMemoryBound(to: Float.self)
      self.init(base: base, count: output.count, columns: output.columns, stride: output.stride)
    } else {
      self.init(count: output.count, columns: output.columns, in: buffer)
    }
  }

  /// Adds `bias` to every row, then rounds a buffer to the caller's rows; f32 results are there already.
  func finish(_ bias: [Float]?, into output: MutableRowView, on pool: WorkerPool) {
    guard bias != nil || output.format != .f32 else { return }
    pool.run(tasks: count, FinishWork(rows: self, bias: bias, output: output))
  }
}

private struct WidenWork: ParallelWork {
  let input: RowView, rows: FloatRows

  func perform(task row: Int, worker: Int) {
    input.format.widen(input.base + row * input.stride * input.format.blockBytes, count: input.columns, into: rows.row(row))
  }
}

private struct FinishWork: ParallelWork {
  let rows: FloatRows, bias: [Float]?, output: MutableRowView

  func perform(task index: Int, worker: Int) {
    let row = rows.row(index)
    if let bias { for column in 0..<rows.columns { row[column] += bias[column] } }
    guard output.format != .f32 else { return }
    output.format.round(row, count: rows.columns, into: output.base + index * output.stride * output.format.blockBytes)
  }
}
