// Activations rounded to int8, once for all experts that read them.

internal import CMoEKernels
internal import MoETensors

/// int8 codes, scales and sums of f32 rows whose width is a multiple of 32.
struct QuantizedRows {
  /// The rows as kernels take them.
  let borrowed: moe_int8_rows
  private let columns: Int

  /// Room for rows [count, columns]; valid until the buffer is asked again.
  init(count: Int, columns: Int, in buffer: GrowableBuffer) {
    self.columns = columns
    let scales = (count * columns + 63) / 64 * 64, groups = count * columns / 32
    let base: UnsafeMutablePointer<Int8> = buffer.room(for: scales + 2 * groups * MemoryLayout<Float>.size)
    let floats = UnsafeMutableRawPointer(base + scales).assumingMemoryBound(to: Float.self)
    borrowed = moe_int8_rows(codes: base, scales: floats, sums: floats + groups, stride: Int64(columns))
  }

  /// Rounds one row.
  func round(_ row: Int, of source: FloatRows, by kernels: KernelTable) {
    let group = row * columns / 32
    kernels.row.pointee.quantize_int8(
      source.row(row), Int64(columns), UnsafeMutablePointer(mutating: borrowed.codes) + row * columns,
      UnsafeMutablePointer(mutating: borrowed.scales) + group, UnsafeMutablePointer(mutating: borrowed.sums) + group)
  }
}
