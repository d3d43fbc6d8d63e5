// Packing matrices into panels: all of them in one buffer, by all threads.

internal import CMoEKernels
package import MoEExperts
package import MoEPlacement
package import MoETensors
internal import Synchronization

/// Where matrices come to lie as panels in one buffer; those that take none stay as they are.
package struct PanelPlan: Sendable {
  package let matrices: [PackedMatrix]
  /// Bytes of the buffer: those of each place, and last those that the nodes share; one range for panels in one place.
  package let regions: [Range<Int>]
  /// For every matrix what each region holds of it; none where it stays as it is.
  private let shards: [[Shard]]
  private let keepsPublished: Bool
  /// Those of each node's regions together.
  fileprivate let pieces: [Piece]
  /// The nodes that pack, nil for panels in one place.
  fileprivate let nodes: NodeMap?
  /// Pieces of each node, what the nodes share being the last one's.
  fileprivate let nodePieces: [Range<Int>]

  /// Rows of a matrix, and where the first one's panel lies in the buffer, or the shard that has them already.
  private struct Shard {
    let rows: Range<Int>
    let place: Int
    let held: PanelShard?
  }

  /// Rows that one task packs, and where their panels come to lie.
  fileprivate struct Piece {
    let matrix: Int
    let rows: Range<Int>
    let place: Int
  }

  /// - Parameters:
  ///   - layout: panels, or nil for panels where they grow a matrix by an eighth at most.
  ///   - holdings: for every matrix the rows that each region holds: the places', and last what they share; none for a matrix that stays as it is.
  ///     Nil for all rows in one. With several regions, matrices that lie in panels already are copied.
  ///   - nodes: those whose workers pack a part of the regions; nil for one place.
  ///   - keepsPublished: true for panels that keep what they were packed from where it takes memory too.
  ///   - former: for each of these regions which shard of matrices that lie on nodes already is there: what has the same rows stays. Empty for none.
  package init(
    _ matrices: [PackedMatrix], _ layout: WeightLayout?, holdings: [[Range<Int>]]? = nil, on nodes: NodeMap? = nil, keepsPublished: Bool = false,
    former: [Int?] = []
  ) {
    var shards = [[Shard]](repeating: [], count: matrices.count), pieces: [[Piece]] = [], regions: [Range<Int>] = []
    let count = nodes.map { $0.places.joined().count + 1 } ?? 1
    var end = 0
    for region in 0..<count {
      // A large page is one node's.
      if region > 0 { end = (end + largePage - 1) / largePage * largePage }
      let start = end
      pieces.append([])
      for (index, matrix) in matrices.enumerated() {
        guard matrix.layout(layout) == .panels, matrix.layout == .rows || count > 1 else { continue }
        let parts = holdings?[index] ?? [0..<matrix.rows]
        guard parts.indices.contains(region) else { continue }
        let rows = parts[region], old = former.isEmpty ? nil : former[region]
        let held = old.flatMap { matrix.shards.indices.contains($0) ? matrix.shards[$0] : nil }
        if let held, held.rows == rows, !rows.isEmpty {
          shards[index].append(Shard(rows: rows, place: end, held: held))
          continue
        }
        shards[index].append(Shard(rows: rows, place: end, held: nil))
        pieces[region] += Self.pieces(of: matrix, index, rows, at: end)
        end += (matrix.panelBytes(rows: rows.count) + 63) / 64 * 64
      }
      regions.append(start..<end)
    }
    (self.matrices, self.shards, self.regions, self.nodes, self.keepsPublished) = (matrices, shards, regions, nodes, keepsPublished)
    var order = nodes?.places ?? [[]]
    order[order.count - 1].append(regions.count - 1)
    self.pieces = order.joined().flatMap { pieces[$0] }
    nodePieces = order.reduce(into: []) { ranges, regions in
      let first = ranges.last?.upperBound ?? 0
      ranges.append(first..<first + regions.reduce(0) { $0 + pieces[$1].count })
    }
  }

  private static func pieces(of matrix: PackedMatrix, _ index: Int, _ rows: Range<Int>, at place: Int) -> [Piece] {
    let step = max(1, pieceBytes / max(1, matrix.rowBytes * matrix.panelRows)) * matrix.panelRows
    var pieces: [Piece] = [], first = rows.lowerBound
    while first < rows.upperBound {
      let end = min(first + step, rows.upperBound, matrix.endOfNeighbours(from: first))
      pieces.append(Piece(matrix: index, rows: first..<end, place: place + matrix.panelBytes(rows: first - rows.lowerBound)))
      first = end
    }
    return pieces
  }

  /// Bytes of the buffer.
  package var byteCount: Int { regions.last!.upperBound }

  /// For every matrix its place in a buffer of panels in one place; nil where it stays as it is.
  package var places: [Int?] { shards.map(\.first?.place) }

  /// The matrices that get panels in one place, with their places in the buffer, in its order.
  package var packed: [(matrix: PackedMatrix, place: Int)] { zip(matrices, places).compactMap { matrix, place in place.map { (matrix, $0) } } }

  /// True where no matrix gets panels.
  package var isEmpty: Bool { shards.allSatisfy(\.isEmpty) }

  /// The matrices with panels in one place, at `base`, which `owner` keeps alive; each keeps its own pages of a buffer.
  package func matrices(at base: UnsafeRawPointer, owner: AnyObject) -> [PackedMatrix] {
    zip(matrices, shards).map { matrix, shards in
      shards.first.map { shard in
        let owner = (owner as? AlignedBuffer).map { part(shard, of: matrix, in: $0) } ?? owner
        return PackedMatrix(panelsOf: matrix, data: base + shard.place, owner: owner, keeping: keepsPublished)
      } ?? matrix.gathered
    }
  }

  /// The matrices with panels on nodes, in `buffer` where they were not there before; each shard keeps its own pages.
  package func placedMatrices(in buffer: AlignedBuffer) -> [PackedMatrix] {
    zip(matrices, shards).map { matrix, shards in
      if shards.isEmpty { return matrix.gathered }
      return PackedMatrix(
        panelsOf: matrix,
        shards: shards.map { shard in
          if let held = shard.held { return held }
          let data = UnsafeRawPointer(buffer.bytes.baseAddress!) + shard.place
          return PanelShard(rows: shard.rows, data: data, owner: part(shard, of: matrix, in: buffer))
        }, keeping: keepsPublished)
    }
  }

  private func part(_ shard: Shard, of matrix: PackedMatrix, in buffer: AlignedBuffer) -> BufferPart {
    BufferPart(buffer, shard.place..<shard.place + matrix.panelBytes(rows: shard.rows.count))
  }
}

extension CPUBackend {
  /// The panels of a plan in a buffer of their own.
  ///
  /// No page of a mapped file stays in memory for it, so that the two copies never stand there together.
  ///
  /// - Parameters:
  ///   - checksum: set, unless nil, to the checksum of the published bytes that were packed: see `checksum(of:)`.
  ///   - bind: sees the regions before they are touched.
  /// - Throws: `ShapeError` when there is no memory for the panels, or a file cannot be read.
  package func pack(
    _ plan: PanelPlan, checksum: UnsafeMutablePointer<UInt64>? = nil, binding bind: ([UnsafeMutableRawBufferPointer]) -> Void = { _ in }
  ) throws(ShapeError) -> AlignedBuffer {
    guard let buffer = plan.byteCount > 0 ? AlignedBuffer(mapping: plan.byteCount) : AlignedBuffer(byteCount: 0) else {
      throw ShapeError(tensor: "weights in panels", reason: "there is no memory for \(plan.byteCount) bytes")
    }
    bind(plan.regions.map { UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[$0]) })
    let base = buffer.bytes.baseAddress!
    let memory = GrowableBuffer(), scratch = StageScratch(workers: pool.threads, columns: 0, reorders: false, in: memory)
    defer { withExtendedLifetime(memory) {} }
    let sums = try read(plan, summing: checksum != nil) { piece, codes, worker in
      let matrix = plan.matrices[piece.matrix], kernel = kernels.row.pointee.formats[Int(matrix.format.index)], panels = base + piece.place
      if matrix.layout == .panels { return panels.copyMemory(from: codes.baseAddress!, byteCount: codes.count) }
      var source = matrix.borrowed(from: piece.rows.lowerBound, codes: codes.baseAddress!)
      kernel.pack(&source, Int64(piece.rows.lowerBound), Int64(piece.rows.upperBound), panels, scratch[worker].gemm)
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
    _ plan: PanelPlan, summing: Bool,
    _ body: (_ piece: PanelPlan.Piece, _ codes: UnsafeRawBufferPointer, _ worker: Int) -> Void
  ) throws(ShapeError) -> [UInt64] {
    var readers: [ObjectIdentifier: (any FileReading)?] = [:]
    let files = plan.matrices.map { matrix in
      matrix.file.flatMap { file in
        let reader = readers[ObjectIdentifier(file)] ?? file.reader()
        readers[ObjectIdentifier(file)] = .some(reader)
        return reader.map { (reader: $0, file: file) }
      }
    }
    let room = plan.pieces.map { plan.matrices[$0.matrix].bytes(of: $0.rows).count }.max() ?? 0
    let memory = AlignedBuffer(byteCount: pool.threads * room), failure = Mutex<ShapeError?>(nil), queues = GrowableBuffer()
    var sums = [UInt64](repeating: 0, count: summing ? plan.pieces.count : 0)
    sums.withUnsafeMutableBufferPointer { sums in
      nonisolated(unsafe) let sums = sums
      withoutActuallyEscaping(body) { body in
        let work = ReadWork(nodePieces: plan.nodePieces, nodes: plan.nodes) { index, worker in
          let piece = plan.pieces[index], matrix = plan.matrices[piece.matrix]
          var codes = matrix.bytes(of: piece.rows)
          if let (reader, file) = files[piece.matrix] {
            let copy = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[worker * room..<worker * room + codes.count])
            do throws(ShapeError) { try reader.fill(copy, at: file.offset(of: codes.baseAddress!)) } catch {
              return failure.withLock { $0 = $0 ?? error }
            }
            codes = UnsafeRawBufferPointer(copy)
          }
          if summing {
            sums[index] = Checksum.of(codes)
            if piece.rows.lowerBound == 0, let scales = matrix.scaleChecksum { sums[index] = Checksum.of([sums[index], scales]) }
          }
          body(piece, codes, worker)
          matrix.giveBack(piece.rows)
        }
        pool.run(work, queues: queues)
      }
    }
    if let error = failure.withLock({ $0 }) { throw error }
    return sums
  }
}

/// The pieces of a plan.
private struct ReadWork: PieceWork {
  let nodePieces: [Range<Int>], nodes: NodeMap?
  let body: (_ piece: Int, _ worker: Int) -> Void

  var pieces: Int { nodePieces.last!.upperBound }
  func pieces(of node: Int) -> Range<Int> { nodes == nil ? 0..<pieces : nodePieces[node] }
  func perform(piece: Int, worker: Int, node: Int) { body(piece, worker) }
}

/// Published bytes that one task packs: what stays in a core's own cache beside its panels.
private let pieceBytes = 256 << 10
private let largePage = 2 << 20
