// Activations rounded to int8, once for all experts that read them.

package import CMoEKernels
package import MoETensors

/// int8 codes, scales and sums of f32 rows.
package final class QuantizedRows: Sendable {
  private let codes: AlignedBuffer
  private let scales: AlignedBuffer
  private let sums: AlignedBuffer
  private let columns: Int

  /// Rounds `rows`, whose width is a multiple of 32, on the backend's threads.
  package init(_ rows: FloatRows, by backend: CPUBackend) {
    columns = rows.columns
    codes = AlignedBuffer(byteCount: rows.count * columns)
    scales = AlignedBuffer(byteCount: rows.count * columns / 8)
    sums = AlignedBuffer(byteCount: rows.count * columns / 8)
    let borrowed = borrowed, quantize = backend.kernels.row.pointee.quantize_int8!
    backend.forEach(rows.count) { row in
      let group = row * rows.columns / 32
      quantize(
        rows.row(row), Int64(rows.columns), UnsafeMutablePointer(mutating: borrowed.codes) + row * rows.columns,
        UnsafeMutablePointer(mutating: borrowed.scales) + group, UnsafeMutablePointer(mutating: borrowed.sums) + group)
    }
  }

  /// The rows as kernels take them; valid while `self` lives.
  package var borrowed: moe_int8_rows {
    moe_int8_rows(
      codes: codes.bytes.baseAddress!.assumingMemoryBound(to: Int8.self), scales: scales.bytes.baseAddress!.assumingMemoryBound(to: Float.self),
      sums: sums.bytes.baseAddress!.assumingMemoryBound(to: Float.self), stride: Int64(columns))
  }
}
