// Copies of experts in the slots of equal units: EPLB's replication and packing, and what better balance and fewer moves add to it.

/// Which expert each slot holds; the slots of a unit lie together.
public struct ReplicaMap: Sendable, Hashable {
  /// Expert of each slot.
  public internal(set) var experts: [Int]
  /// First slot of each unit and the end.
  public let offsets: [Int]

  /// Number of units: devices, or NUMA nodes.
  public var units: Int { offsets.count - 1 }
  /// Slots of one unit.
  public func slots(of unit: Int) -> Range<Int> { offsets[unit]..<offsets[unit + 1] }
  /// Copies of each expert.
  public func copies(of count: Int) -> [Int] { experts.reduce(into: Array(repeating: 0, count: count)) { $0[$1] += 1 } }
  /// Units that hold a copy, ascending, by expert.
  public func units(of count: Int) -> [[Int]] {
    var units = Array(repeating: [Int](), count: count)
    for unit in 0..<self.units {
      for slot in slots(of: unit) where units[experts[slot]].last != unit { units[experts[slot]].append(unit) }
    }
    return units
  }

  /// Slots whose unit did not hold their expert in `old`: what a change of maps has to copy.
  public func moves(from old: ReplicaMap) -> Int { (0..<units).reduce(0) { $0 + slots(of: $1).count - overlap($1, old, $1) } }

  /// Load of each unit when the rows of an expert are shared evenly by its copies.
  public func loads(_ weights: [Double]) -> [Double] {
    let copies = copies(of: weights.count)
    return (0..<units).map { unit in slots(of: unit).reduce(0) { $0 + weights[experts[$1]] / Double(copies[experts[$1]]) } }
  }

  /// Largest load over the mean one: 1 is perfect.
  public func imbalance(_ weights: [Double]) -> Double {
    let loads = loads(weights), sum = loads.reduce(0, +)
    return sum > 0 ? loads.max()! * Double(units) / sum : 1
  }

  /// How many experts unit `unit` and a unit of another map hold both, copies counted.
  func overlap(_ unit: Int, _ other: ReplicaMap, _ otherUnit: Int) -> Int {
    let left = experts[slots(of: unit)].sorted(), right = other.experts[other.slots(of: otherUnit)].sorted()
    var (i, j, common) = (0, 0, 0)
    while i < left.count, j < right.count {
      if left[i] == right[j] { (i, j, common) = (i + 1, j + 1, common + 1) } else if left[i] < right[j] { i += 1 } else { j += 1 }
    }
    return common
  }
}

extension ReplicaMap {
  /// The map that EPLB computes (github.com/deepseek-ai/EPLB): groups to nodes, copies within nodes, copies to the node's units.
  ///
  /// Ties go to the lowest index. Slots need not be a multiple of the units: the first units then hold one more. Groups that do not divide by
  /// the nodes are not kept together, as in EPLB.
  ///
  /// - Parameters:
  ///   - weights: load of each expert.
  ///   - slots: copies in all, at least one an expert.
  ///   - groups: groups of consecutive experts that stay on one node.
  ///   - nodes: nodes of equally many units.
  /// - Throws: `PlacementError.slots` and `.statistics`.
  public init(weights: [Double], slots: Int, groups: Int = 1, nodes: Int = 1, units: Int) throws(PlacementError) {
    guard weights.allSatisfy({ $0.isFinite && $0 >= 0 }) else { throw .statistics("loads that are negative or not finite") }
    let isHierarchical = groups > 0 && nodes > 0 && groups % nodes == 0
    let (groups, nodes) = isHierarchical ? (groups, nodes) : (1, 1)
    guard !weights.isEmpty, slots >= weights.count, slots <= 1 << 24, units > 0, slots >= units, units % nodes == 0, weights.count % groups == 0,
      nodes == 1 || slots % nodes == 0
    else { throw .slots("\(weights.count) experts in \(slots) slots, \(groups) groups, \(nodes) nodes, \(units) units") }

    let size = weights.count / groups
    let groupLoads = (0..<groups).map { weights[($0 * size)..<(($0 + 1) * size)].reduce(0, +) }
    let nodeGroups = packed(groupLoads, room: evenRoom(groups, nodes))
    var experts: [Int] = [], offsets = [0]
    for node in 0..<nodes {
      let local = nodeGroups[node].flatMap { ($0 * size)..<(($0 + 1) * size) }
      let copies = replicated(local.map { weights[$0] }, slots: slots / nodes)
      let counts = copies.reduce(into: Array(repeating: 0.0, count: local.count)) { $0[$1] += 1 }
      let unitSlots = packed(copies.map { weights[local[$0]] / counts[$0] }, room: evenRoom(slots / nodes, units / nodes))
      for slots in unitSlots {
        experts += slots.map { local[copies[$0]] }
        offsets.append(experts.count)
      }
    }
    (self.experts, self.offsets) = (experts, offsets)
  }
}

/// `items` over `packs` as evenly as whole numbers allow.
func evenRoom(_ items: Int, _ packs: Int) -> [Int] { (0..<packs).map { items / packs + ($0 < items % packs ? 1 : 0) } }

/// Heaviest first, each item to the pack that is least loaded with it, of those with room.
///
/// - Parameter speeds: of the packs; loads are divided by them. Nil for equal ones.
/// - Returns: items of each pack, in the order they came.
func packed(_ weights: [Double], room: [Int], speeds: [Double]? = nil) -> [[Int]] {
  var packs = Array(repeating: [Int](), count: room.count), loads = Array(repeating: 0.0, count: room.count)
  if room.allSatisfy({ $0 == 1 }), weights.count == room.count, speeds == nil { return weights.indices.map { [$0] } }
  for item in weights.indices.sorted(by: { (-weights[$0], $0) < (-weights[$1], $1) }) {
    let key = { (pack: Int) in speeds.map { (loads[pack] + weights[item]) / $0[pack] } ?? loads[pack] }
    guard let pack = room.indices.filter({ packs[$0].count < room[$0] }).min(by: { (key($0), $0) < (key($1), $1) }) else { break }
    packs[pack].append(item)
    loads[pack] += weights[item]
  }
  return packs
}

/// Every item once, then one copy after another of the item with the largest load a copy: the least possible maximum.
package func replicated(_ weights: [Double], slots: Int) -> [Int] {
  var items = Array(weights.indices), counts = Array(repeating: 1.0, count: weights.count)
  while items.count < slots {
    var heaviest = 0
    for item in weights.indices where weights[item] / counts[item] > weights[heaviest] / counts[heaviest] { heaviest = item }
    items.append(heaviest)
    counts[heaviest] += 1
  }
  return items
}
