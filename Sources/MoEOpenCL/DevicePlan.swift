// A dispatch plan on a device: its lists in one buffer, its rows in tiles of one expert.

#if OpenCL
import MoEDispatch
import MoEPlacement

/// Tiles of one launch: expert, first row, number of rows, and first row where rows are arranged; from `place` of the lists on.
struct TileList {
  let part: Int, isFew: Bool
  let place: Int, count: Int
}

/// Where the lists of a plan begin, in elements of four bytes.
struct ListPlaces {
  var tokens = 0, weights = 0, rowOf = 0, rowOffsets = 0
  /// Nil where no expert returns its input.
  var identity: Int?
}

/// The plan of one pass, uploaded.
struct DevicePlan {
  private(set) var tiles: [TileList] = []
  private(set) var places = ListPlaces()
  private(set) var rows = 0
  /// Rows that all tiles take when they are arranged.
  private(set) var arranged = 0
  private var count = 0
  /// Bytes of all lists.
  var byteCount: Int { 4 * count }

  /// Cuts the rows of each expert into tiles; `parts` are the experts of each part of the bank.
  mutating func cut(_ plan: DispatchPlan, parts: some Collection<PartExperts>, _ shape: TileShape) {
    tiles.removeAll(keepingCapacity: true)
    (count, arranged, rows) = (0, 0, plan.rows)
    for (part, experts) in parts.enumerated() {
      for isFew in [true, false] {
        var number = 0
        Self.forEachTile(plan, experts, shape) { _, rows in
          guard (rows.count <= shape.few) == isFew else { return }
          number += 1
          arranged += TileShape.arranged(rows.count)
        }
        if number > 0 { tiles.append(TileList(part: part, isFew: isFew, place: count, count: number)) }
        count += 4 * number
      }
    }
    place(tokens: plan.tokenCount, hasIdentity: !plan.identityWeights.isEmpty)
  }

  /// Makes room for a plan that the device cuts itself: as many tiles as up to `most` experts for each of `tokens` tokens can give.
  mutating func bound(tokens: Int, most: Int, hasIdentity: Bool, parts: some Collection<Range<Int>>, _ shape: TileShape) {
    tiles.removeAll(keepingCapacity: true)
    (count, arranged, rows) = (0, tokens * most, tokens * most)
    for (part, experts) in parts.enumerated() {
      // Each expert has at most one tile that is not whole, and that has few rows or more than those.
      let last = min(experts.count, rows), many = rows / shape.groupTokens + min(last, rows / (shape.few + 1))
      arranged += 7 * last
      for (isFew, number) in [(true, shape.few > 0 ? last : 0), (false, many)] where number > 0 {
        tiles.append(TileList(part: part, isFew: isFew, place: count, count: number))
        count += 4 * number
      }
    }
    place(tokens: tokens, hasIdentity: hasIdentity)
  }

  /// Puts the lists behind the tiles.
  private mutating func place(tokens: Int, hasIdentity: Bool) {
    func room(_ length: Int) -> Int {
      count += length
      return count - length
    }
    places.tokens = room(rows)
    places.weights = room(rows)
    places.rowOf = room(rows)
    places.rowOffsets = room(tokens + 1)
    places.identity = hasIdentity ? room(tokens) : nil
  }

  /// Writes the lists.
  func upload(
    _ plan: DispatchPlan, parts: some Collection<PartExperts>, _ shape: TileShape, to lists: GrowableDeviceBuffer, in context: OpenCLContext
  ) throws(OpenCLError) {
    try lists.room(byteCount, in: context).write(of: byteCount) { memory, _ in
      let integers = memory.assumingMemoryBound(to: Int32.self), floats = memory.assumingMemoryBound(to: Float.self)
      var tile = integers, arranged = 0
      for experts in parts {
        for isFew in [true, false] {
          Self.forEachTile(plan, experts, shape) { expert, rows in
            guard (rows.count <= shape.few) == isFew else { return }
            (tile[0], tile[1], tile[2], tile[3]) = (Int32(expert), Int32(rows.lowerBound), Int32(rows.count), Int32(arranged))
            tile += 4
            arranged += TileShape.arranged(rows.count)
          }
        }
      }
      for (index, token) in plan.tokens.enumerated() { integers[places.tokens + index] = token }
      for (index, weight) in plan.weights.enumerated() { floats[places.weights + index] = weight }
      for (index, row) in plan.rowOf.enumerated() { integers[places.rowOf + index] = Int32(row) }
      for (index, offset) in plan.rowOffsets.enumerated() { integers[places.rowOffsets + index] = Int32(offset) }
      if let identity = places.identity {
        for (index, weight) in plan.identityWeights.enumerated() { floats[identity + index] = weight }
      }
    }
  }

  private static func forEachTile(
    _ plan: DispatchPlan, _ experts: PartExperts, _ shape: TileShape, _ body: (_ expert: Int, _ rows: Range<Int>) -> Void
  ) {
    for expert in plan.activeExperts where experts.contains(Int(expert)) {
      let rows = plan.rows(of: Int(expert))
      for first in stride(from: rows.lowerBound, to: rows.upperBound, by: shape.groupTokens) {
        body(Int(expert), first..<min(first + shape.groupTokens, rows.upperBound))
      }
    }
  }
}
#endif
