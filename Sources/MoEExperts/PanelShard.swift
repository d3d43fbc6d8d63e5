// Matrices that lie on several NUMA nodes: which rows each place holds, and where.

internal import CMoEKernels
internal import MoETensors

/// Rows of a matrix in panels in one place of a placement; none where nothing of it lies there.
package struct PanelShard: @unchecked Sendable {
  /// Whole panels but for the last of the matrix.
  package let rows: Range<Int>
  let data: UnsafeRawPointer
  /// Keeps the panels.
  let owner: AnyObject

  package init(rows: Range<Int>, data: UnsafeRawPointer, owner: AnyObject) { (self.rows, self.data, self.owner) = (rows, data, owner) }
}

extension PackedMatrix {
  /// The shard that holds a row; the first of several copies.
  func shard(holding row: Int) -> PanelShard { shards.first { $0.rows.contains(row) } ?? whole }

  /// Rows that a node can read, with their codes: those in the first of its places that has some, else what every node shares.
  func shard(in places: [Int]) -> PanelShard {
    guard let last = shards.last else { return whole }
    return places.lazy.map { shards[$0] }.first { !$0.rows.isEmpty } ?? last
  }

  private var whole: PanelShard { PanelShard(rows: 0..<rows, data: data, owner: owner) }

  /// The rows of a shard as a matrix for the kernels; valid while `self` lives.
  func borrowed(_ shard: PanelShard) -> moe_matrix {
    var matrix = borrowed
    matrix.rows = Int64(shard.rows.count)
    matrix.data = shard.data
    return matrix
  }

  /// End of the rows from `row` on that lie together.
  package func endOfNeighbours(from row: Int) -> Int { shard(holding: row).rows.upperBound }

  /// The bytes of rows that lie together: codes, or panels, of which the first row begins one.
  package func bytes(of rows: Range<Int>) -> UnsafeRawBufferPointer {
    guard layout == .panels else { return codes(rows) }
    let shard = shard(holding: rows.lowerBound), skipped = panelBytes(rows: rows.lowerBound - shard.rows.lowerBound)
    return UnsafeRawBufferPointer(rebasing: bytes(of: shard)[skipped..<skipped + panelBytes(rows: rows.count)])
  }

  /// The panels of a shard.
  package func bytes(of shard: PanelShard) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: shard.data, count: panelBytes(rows: shard.rows.count))
  }

  /// The same matrix in one place: a copy where none holds all of it.
  package var gathered: PackedMatrix {
    guard !shards.isEmpty else { return self }
    if let full = shards.first(where: { $0.rows.count == rows }) { return PackedMatrix(panelsOf: self, data: full.data, owner: full.owner) }
    let buffer = AlignedBuffer(byteCount: panelBytes)
    var end = 0
    while end < rows {
      let next = endOfNeighbours(from: end)
      UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[panelBytes(rows: end)...]).copyMemory(from: bytes(of: end..<next))
      end = next
    }
    return PackedMatrix(panelsOf: self, data: buffer.bytes.baseAddress!, owner: buffer)
  }
}
