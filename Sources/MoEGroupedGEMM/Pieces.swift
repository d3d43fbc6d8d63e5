// The pieces of a stage: some weight rows of one expert for some of its rows of the plan.

internal import CMoEKernels
internal import MoEDispatch
internal import MoETensors

/// Rows of activations that meet the weights of a piece at once.
let tokenTile = Int(MOE_GEMM_ROWS)

/// Rows of a stage by expert; valid while the plan lives.
struct RowGroups {
  /// Experts that have rows, and the first row of every expert; nil where all rows belong to one matrix.
  private let experts: UnsafePointer<Int32>?, offsets: UnsafePointer<Int>?
  let count: Int
  /// Rows of all groups.
  let rows: Int

  init(_ plan: DispatchPlan) {
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
}

/// One piece.
struct Piece {
  let expert: Int
  let weightRows: Range<Int>
  let rows: Range<Int>

  /// The rows in calls of a kernel: from the start of the expert's, which parts keep to.
  func forEachTile(_ body: (Range<Int>) -> Void) {
    for start in stride(from: rows.lowerBound, to: rows.upperBound, by: tokenTile) { body(start..<min(start + tokenTile, rows.upperBound)) }
  }
}

/// The cut of a stage into pieces: expert after expert, weight rows after weight rows, parts of its rows.
struct Pieces {
  private let groups: RowGroups
  private let weightRows: Int, step: Int, part: Int
  /// First piece of every group, and the end.
  private let firsts: UnsafePointer<Int>
  let count: Int

  /// - Parameters:
  ///   - step: weight rows of a piece.
  ///   - part: the most rows of a piece, whole tiles; nil for all rows of an expert.
  ///   - memory: a place that keeps the list until the stage ends.
  init(_ groups: RowGroups, weightRows: Int, step: Int, part: Int? = nil, in memory: GrowableBuffer) {
    let part = part ?? max(1, groups.rows), cuts = (weightRows + step - 1) / step
    let firsts: UnsafeMutablePointer<Int> = memory.room(for: groups.count + 1)
    firsts[0] = 0
    for group in 0..<groups.count { firsts[group + 1] = firsts[group] + cuts * ((groups.rows(of: group).count + part - 1) / part) }
    (self.groups, self.weightRows, self.step, self.part) = (groups, weightRows, step, part)
    (self.firsts, count) = (UnsafePointer(firsts), firsts[groups.count])
  }

  subscript(piece: Int) -> Piece {
    var group = 0, end = groups.count
    while end - group > 1 {
      let middle = (group + end) / 2
      if firsts[middle] <= piece { group = middle } else { end = middle }
    }
    let rows = groups.rows(of: group), parts = (rows.count + part - 1) / part
    let (cut, index) = (piece - firsts[group]).quotientAndRemainder(dividingBy: parts)
    let first = cut * step, start = rows.lowerBound + index * part
    return Piece(
      expert: groups.expert(group), weightRows: first..<min(first + step, weightRows), rows: start..<min(start + part, rows.upperBound))
  }
}
