// Panels as the bytes of one buffer, for files, wherever they lie.

package import MoEExperts

/// What the buffer of a plan in one place holds; zeros between matrices.
package struct PanelImage: @unchecked Sendable {
  /// Parts that lie together, in order, with their places in the buffer.
  private let spans: [(place: Int, bytes: UnsafeRawBufferPointer)]
  package let byteCount: Int
  private let owner: Any

  /// The buffer itself, which `owner` keeps alive.
  package init(_ bytes: UnsafeRawBufferPointer, owner: AnyObject) {
    (spans, byteCount, self.owner) = ([(0, bytes)], bytes.count, owner)
  }

  /// - Parameter panels: the matrices of `plan` in panels, in its order.
  package init(of panels: [PackedMatrix], in plan: PanelPlan) {
    var spans: [(place: Int, bytes: UnsafeRawBufferPointer)] = []
    for (matrix, place) in zip(panels, plan.places) {
      guard let place else { continue }
      var row = 0
      while row < matrix.rows {
        let end = matrix.endOfNeighbours(from: row)
        spans.append((place + matrix.panelBytes(rows: row), matrix.bytes(of: row..<end)))
        row = end
      }
    }
    (self.spans, byteCount, owner) = (spans, plan.byteCount, panels)
  }

  /// True where all bytes lie together.
  package var isWhole: Bool { spans.count == 1 && spans[0].bytes.count == byteCount }

  /// Some of the bytes: where they lie, or copied to `memory`, which has room for them.
  package func bytes(_ range: Range<Int>, gatheredIn memory: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
    if isWhole { return UnsafeRawBufferPointer(rebasing: spans[0].bytes[range]) }
    let memory = UnsafeMutableRawBufferPointer(rebasing: memory[..<range.count])
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    for (place, bytes) in spans {
      let common = range.clamped(to: place..<place + bytes.count)
      guard !common.isEmpty else { continue }
      let part = UnsafeRawBufferPointer(rebasing: bytes[common.lowerBound - place..<common.upperBound - place])
      UnsafeMutableRawBufferPointer(rebasing: memory[(common.lowerBound - range.lowerBound)...]).copyMemory(from: part)
    }
    return UnsafeRawBufferPointer(memory)
  }
}
