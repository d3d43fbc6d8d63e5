// Packing matrices into panels: all of them in one buffer, by all threads.

internal import CMoEKernels
package import MoEExperts
internal import MoEPlacement
package import MoETensors
internal import Synchronization

/// Where matrices come to lie as panels in one buffer; those that take none stay as they are.
package struct PanelPlan: Sendable {
  package let matrices: [PackedMatrix]
  /// Bytes of the buffer.
  package let byteCount: Int
  private let places: [Int?]
  fileprivate let pieces: [Piece]

  /// Rows that one task packs.
  fileprivate struct Piece {
    let matrix: Int
    let rows: Range<Int>
  }

  /// - Parameter layout: panels, or nil for panels where they grow a matrix by an eighth at most.
  package init(_ matrices: [PackedMatrix], _ layout: WeightLayout?) {
    var places: [Int?] = [], pieces: [Piece] = [], end = 0
    for (index, matrix) in matrices.enumerated() {
      guard matrix.layout == .rows, matrix.layout(layout) == .panels else {
        places.append(nil)
        continue
      }
      places.append(end)
      end += (matrix.panelBytes + 63) / 64 * 64
      let step = max(1, pieceBytes / max(1, matrix.rowBytes * matrix.panelRows)) * matrix.panelRows
      for first in stride(from: 0, to: matrix.rows, by: step) {
        pieces.append(Piece(matrix: index, rows: first..<min(first + step, matrix.rows)))
      }
    }
    self.matrices = matrices
    self.places = places
    self.pieces = pieces
    byteCount = end
  }

  /// The matrices that get panels, with their places in the buffer, in its order.
  package var packed: [(matrix: PackedMatrix, place: Int)] { zip(matrices, places).compactMap { matrix, place in place.map { (matrix, $0) } } }

  /// The matrices with panels at `base`, which `owner` keeps alive.
  package func matrices(at base: UnsafeRawPointer, owner: AnyObject) -> [PackedMatrix] {
    zip(matrices, places).map { matrix, place in place.map { PackedMatrix(panelsOf: matrix, data: base + $0, owner: owner) } ?? matrix }
  }

  fileprivate func place(of piece: Piece) -> Int {
    let matrix = matrices[piece.matrix]
    return places[piece.matrix]! + piece.rows.lowerBound / matrix.panelRows * matrix.bytesOfPanel
  }
}

extension CPUBackend {
  /// The panels of a plan in a buffer of their own.
  ///
  /// No page of a mapped file stays in memory for it, so that the two copies never stand there together.
  ///
  /// - Parameter checksum: set, unless nil, to the checksum of the published bytes that were packed: see `checksum(of:)`.
  /// - Throws: `ShapeError` when there is no memory for the panels, or a file cannot be read.
  package func pack(_ plan: PanelPlan, checksum: UnsafeMutablePointer<UInt64>? = nil) throws(ShapeError) -> AlignedBuffer {
    guard let buffer = AlignedBuffer(mapping: plan.byteCount) else {
      throw ShapeError(tensor: "weights in panels", reason: "there is no memory for \(plan.byteCount) bytes")
    }
    let base = buffer.bytes.baseAddress!
    let memory = GrowableBuffer(), scratch = StageScratch(workers: pool.threads, columns: 0, reorders: false, in: memory)
    defer { withExtendedLifetime(memory) {} }
    let sums = try read(plan, summing: checksum != nil) { piece, codes, worker in
      let matrix = plan.matrices[piece.matrix], kernel = kernels.row.pointee.formats[Int(matrix.format.index)]
      var source = matrix.borrowed(from: piece.rows.lowerBound, codes: codes)
      kernel.pack(&source, Int64(piece.rows.lowerBound), Int64(piece.rows.upperBound), base + plan.place(of: piece), scratch[worker].gemm)
    }
    checksum?.pointee = Checksum.of(sums)
    return buffer
  }

  /// Checksum of the published bytes that a plan packs, read at the speed of memory.
  ///
  /// - Throws: `ShapeError` when a file cannot be read.
  package func checksum(of plan: PanelPlan) throws(ShapeError) -> UInt64 { Checksum.of(try read(plan, summing: true) { _, _, _ in }) }

  /// Hands every piece to `body` once, on all threads, and takes the checksum of each if asked to.
  ///
  /// Pieces of mapped files are read into memory of the worker, which stays in its cache: mapping their pages and giving them back costs
  /// more than the copy.
  private func read(
    _ plan: PanelPlan, summing: Bool, _ body: (_ piece: PanelPlan.Piece, _ codes: UnsafeRawPointer, _ worker: Int) -> Void
  ) throws(ShapeError) -> [UInt64] {
    var readers: [ObjectIdentifier: (any FileReading)?] = [:]
    let files = plan.matrices.map { matrix in
      matrix.file.flatMap { file in
        let reader = readers[ObjectIdentifier(file)] ?? file.reader()
        readers[ObjectIdentifier(file)] = .some(reader)
        return reader.map { (reader: $0, offset: file.offset(of: matrix.codes(0..<0).baseAddress!)) }
      }
    }
    let room = plan.pieces.map { $0.rows.count * plan.matrices[$0.matrix].rowBytes }.max() ?? 0
    let memory = AlignedBuffer(byteCount: pool.threads * room), failure = Mutex<ShapeError?>(nil)
    var sums = [UInt64](repeating: 0, count: summing ? plan.pieces.count : 0)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      pool.run(tasks: plan.pieces.count) { index, worker in
        let piece = plan.pieces[index], matrix = plan.matrices[piece.matrix]
        var codes = matrix.codes(piece.rows)
        if let (reader, offset) = files[piece.matrix] {
          let copy = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[worker * room..<worker * room + codes.count])
          do throws(ShapeError) { try reader.fill(copy, at: offset + piece.rows.lowerBound * matrix.rowBytes) } catch {
            return failure.withLock { $0 = $0 ?? error }
          }
          codes = UnsafeRawBufferPointer(copy)
        }
        if summing {
          sums[index] = Checksum.of(codes)
          if piece.rows.lowerBound == 0, let scales = matrix.scaleChecksum { sums[index] = Checksum.of([sums[index], scales]) }
        }
        body(piece, codes.baseAddress!, worker)
        matrix.giveBack(piece.rows)
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return sums
  }
}

/// Published bytes that one task packs: what stays in a core's own cache beside its panels.
private let pieceBytes = 256 << 10
