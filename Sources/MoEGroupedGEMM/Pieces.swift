// The pieces of a stage: some weight rows of one expert for some of its rows of the plan.

internal import CMoEKernels
package import MoEDispatch
package import MoEExperts
internal import MoEPlacement
package import MoETensors

/// Rows of activations that meet the weights of a piece at once.
package let tokenTile = Int(MOE_GEMM_ROWS)

/// Rows of a stage by expert; valid while the plan lives.
package struct RowGroups {
  /// Experts that have rows, and the first row of every expert; nil where all rows belong to one matrix.
  private let experts: UnsafePointer<Int32>?, offsets: UnsafePointer<Int>?
  let count: Int
  /// Rows of all groups.
  let rows: Int

  package init(_ plan: DispatchPlan) {
    experts = plan.activeExperts.withUnsafeBufferPointer { $0.baseAddress }
    offsets = plan.offsets.withUnsafeBufferPointer { $0.baseAddress }
    (count, rows) = (plan.activeExperts.count, plan.rows)
  }

  /// One group of all rows.
  init(everyRow rows: Int) { (experts, offsets, count, self.rows) = (nil, nil, rows > 0 ? 1 : 0, rows) }

  func expert(_ group: Int) -> Int { experts.map { Int($0[group]) } ?? 0 }

  func rows(of group: Int) -> Range<Int> {
    guard let offsets, let experts else { return 0..<rows }
    let expert = Int(experts[group])
    return offsets[expert]..<offsets[expert + 1]
  }

  /// Which of `all` weight rows a node has to multiply with the rows of a group.
  func weightRows(of group: Int, on node: Int, _ division: RowDivision?, of all: Int) -> Range<Int> {
    division.map { $0.rows(of: expert(group), on: node) } ?? 0..<all
  }
}

/// One piece.
package struct Piece {
  package let expert: Int
  package let weightRows: Range<Int>
  package let rows: Range<Int>
  /// The node that has the weight rows; 0 where they are not divided.
  package let home: Int

  /// The rows in calls of a kernel: from the start of the expert's, which parts keep to.
  func forEachTile(_ body: (Range<Int>) -> Void) {
    for start in stride(from: rows.lowerBound, to: rows.upperBound, by: tokenTile) { body(start..<min(start + tokenTile, rows.upperBound)) }
  }
}

/// The cut of a stage into pieces: node after node, expert after expert, weight rows after weight rows, parts of its rows.
package struct Pieces {
  private let groups: RowGroups
  private let weightRows: Int, step: Int, part: Int
  /// Which weight rows of an expert are a node's; nil where there is one place for all.
  private let division: RowDivision?
  /// First piece of every group on every node, and the end.
  private let firsts: UnsafePointer<Int>
  package let count: Int

  /// - Parameters:
  ///   - step: weight rows of a piece.
  ///   - part: the most rows of a piece, whole tiles; nil for all rows of an expert.
  ///   - memory: a place that keeps the list until the stage ends.
  package init(
    _ groups: RowGroups, weightRows: Int, step: Int, part: Int? = nil, dividedBy division: RowDivision? = nil, in memory: GrowableBuffer
  ) {
    let part = part ?? max(1, groups.rows), lists = groups.count * (division?.count ?? 1)
    let firsts: UnsafeMutablePointer<Int> = memory.room(for: lists + 1)
    firsts[0] = 0
    for list in 0..<lists {
      let (home, group) = list.quotientAndRemainder(dividingBy: groups.count)
      let cuts = (groups.weightRows(of: group, on: home, division, of: weightRows).count + step - 1) / step
      firsts[list + 1] = firsts[list] + cuts * ((groups.rows(of: group).count + part - 1) / part)
    }
    (self.groups, self.weightRows, self.step, self.part, self.division) = (groups, weightRows, step, part, division)
    (self.firsts, count) = (UnsafePointer(firsts), firsts[lists])
  }

  /// The nodes that the weights are divided over.
  var nodes: NodeMap? { division?.nodes }

  /// Pieces of a node.
  package func pieces(of node: Int) -> Range<Int> { firsts[node * groups.count]..<firsts[(node + 1) * groups.count] }

  package subscript(piece: Int) -> Piece {
    var list = 0, end = groups.count * (division?.count ?? 1)
    while end - list > 1 {
      let middle = (list + end) / 2
      if firsts[middle] <= piece { list = middle } else { end = middle }
    }
    let (home, group) = division == nil ? (0, list) : list.quotientAndRemainder(dividingBy: groups.count)
    let weights = groups.weightRows(of: group, on: home, division, of: weightRows), rows = groups.rows(of: group)
    let parts = (rows.count + part - 1) / part
    let (cut, index) = (piece - firsts[list]).quotientAndRemainder(dividingBy: parts)
    let first = weights.lowerBound + cut * step, start = rows.lowerBound + index * part
    return Piece(
      expert: groups.expert(group), weightRows: first..<min(first + step, weights.upperBound), rows: start..<min(start + part, rows.upperBound),
      home: home)
  }
}
