// Packing matrices into panels: all of them in one buffer, by all threads.

internal import CMoEKernels
package import MoEExperts
internal import MoEPlacement
internal import MoETensors

extension CPUBackend {
  /// The matrices in panels, one after the other in memory; those that take none, or would grow much, as they are.
  ///
  /// Pages of a mapped file are given back as they are consumed, so that the two copies never stand in memory together.
  package func inPanels(_ matrices: [PackedMatrix]) -> [PackedMatrix] {
    let filling = matrices.reduce(0) { $0 + ($1.takesPanels ? $1.filling : 0) }
    var places: [Int?] = [], end = 0
    var pieces: [(matrix: Int, rows: Range<Int>)] = []
    for (index, matrix) in matrices.enumerated() {
      guard matrix.takesPanels, matrix.filling <= matrix.publishedBytes / 8 || filling <= smallFilling else {
        places.append(nil)
        continue
      }
      places.append(end)
      end += (matrix.panelBytes + 63) / 64 * 64
      let step = max(1, pieceBytes / max(1, matrix.rowBytes * matrix.panelRows)) * matrix.panelRows
      for first in stride(from: 0, to: matrix.rows, by: step) { pieces.append((index, first..<min(first + step, matrix.rows))) }
    }
    guard end > 0 else { return matrices }
    let buffer = AlignedBuffer(largePages: end), base = buffer.bytes.baseAddress!
    let memory = GrowableBuffer(), scratch = StageScratch(workers: pool.threads, columns: 0, reorders: false, in: memory)
    defer { withExtendedLifetime(memory) {} }
    pool.run(tasks: pieces.count) { [pieces, places] piece, worker in
      let (index, rows) = pieces[piece], matrix = matrices[index]
      let panels = base + places[index]! + rows.lowerBound / matrix.panelRows * (matrix.panelBytes / ((matrix.rows + matrix.panelRows - 1) / matrix.panelRows))
      var source = matrix.borrowed
      kernels.row.pointee.formats[Int(matrix.format.index)].pack(&source, Int64(rows.lowerBound), Int64(rows.upperBound), panels, scratch[worker].gemm)
      matrix.giveBack(rows: rows)
    }
    return zip(matrices, places).map { matrix, place in place.map { PackedMatrix(panelsOf: matrix, data: base + $0, owner: buffer) } ?? matrix }
  }
}

extension PackedMatrix {
  /// Bytes by which panels are larger: rows that fill the last one.
  fileprivate var filling: Int { panelBytes - publishedBytes }
}

/// Beyond this much filling in all, matrices of few rows stay as they are.
private let smallFilling = 1 << 20
/// Published bytes that one task packs.
private let pieceBytes = 512 << 10
