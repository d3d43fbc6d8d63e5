// Packing matrices into panels: all of them in one buffer, by all threads.

internal import CMoEKernels
package import MoEExperts
internal import MoEPlacement
internal import MoETensors

extension CPUBackend {
  /// The matrices in panels, one after the other in memory; those that take none as they are.
  ///
  /// Pages of a mapped file are given back as they are consumed, so that the two copies never stand in memory together.
  ///
  /// - Parameter layout: panels, or nil for panels where they grow a matrix by an eighth at most.
  package func inPanels(_ matrices: [PackedMatrix], _ layout: WeightLayout?) -> [PackedMatrix] {
    var places: [Int?] = [], end = 0
    var pieces: [(matrix: Int, rows: Range<Int>)] = []
    for (index, matrix) in matrices.enumerated() {
      guard matrix.layout == .rows, matrix.layout(layout) == .panels else {
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

/// Published bytes that one task packs.
private let pieceBytes = 512 << 10
