// From one replica map to the next with few moves: units renamed, or the old map changed step by step.

extension ReplicaMap {
  /// A map for new loads that is balanced at least as well as EPLB's and moves few experts from `old`.
  ///
  /// EPLB's map with its units renamed, or the old map improved by single changes where that needs fewer moves.
  ///
  /// - Throws: as `init(weights:slots:groups:nodes:units:)`.
  public static func following(_ old: ReplicaMap, weights: [Double], groups: Int = 1, nodes: Int = 1) throws(PlacementError) -> ReplicaMap {
    let fresh = try ReplicaMap(weights: weights, slots: old.experts.count, groups: groups, nodes: nodes, units: old.units)
    guard old.offsets == fresh.offsets, old.experts.allSatisfy(weights.indices.contains) else { return fresh }
    let renamed = fresh.relabelled(after: old, nodes: groups % nodes == 0 ? nodes : 1)
    // Single changes know nothing of groups that stay on a node.
    guard nodes == 1 || groups % nodes != 0, old.copies(of: weights.count).allSatisfy({ $0 > 0 }) else { return renamed }
    let improved = old.improved(weights, to: fresh.loads(weights).max() ?? 0)
    return improved.imbalance(weights) <= fresh.imbalance(weights) && improved.moves(from: old) < renamed.moves(from: old) ? improved : renamed
  }

  /// The same map with nodes, and units within nodes, renamed so that most experts stay where they are in `old`; balance does not change.
  package func relabelled(after old: ReplicaMap, nodes: Int) -> ReplicaMap {
    let each = units / nodes
    var inner: [[(units: [Int], common: Int)]] = []
    for node in 0..<nodes {
      inner.append(
        (0..<nodes).map { oldNode in
          let common = (0..<each).map { unit in (0..<each).map { gain(node * each + unit, old, oldNode * each + $0) } }
          let match = assignment(maximising: common)
          return (match, match.enumerated().reduce(0) { $0 + common[$1.offset][$1.element] })
        })
    }
    let nodeOf = assignment(maximising: inner.map { $0.map(\.common) })
    var source = Array(repeating: 0, count: units)
    for node in 0..<nodes {
      for (unit, place) in inner[node][nodeOf[node]].units.enumerated() { source[nodeOf[node] * each + place] = node * each + unit }
    }
    var map = self
    map.experts = source.indices.flatMap { unit in inPlace(Array(experts[slots(of: source[unit])]), old, unit) }
    return map
  }

  /// What is kept when a unit takes an old one's name; units of unequal size never do.
  private func gain(_ unit: Int, _ old: ReplicaMap, _ oldUnit: Int) -> Int {
    slots(of: unit).count == old.slots(of: oldUnit).count ? overlap(unit, old, oldUnit) : -experts.count * experts.count
  }

  /// A unit's experts, those that were there before in their old slots.
  private func inPlace(_ experts: [Int], _ old: ReplicaMap, _ unit: Int) -> [Int] {
    var rest = experts
    let kept = old.experts[old.slots(of: unit)].map { expert in rest.firstIndex(of: expert).map { rest.remove(at: $0) } }
    return kept.map { $0 ?? rest.removeFirst() }
  }

  /// Single changes that lower the largest load until it is at most `target` or none does: a swap of two slots, or another expert in the slot of
  /// one that has more copies.
  func improved(_ weights: [Double], to target: Double) -> ReplicaMap {
    var map = self
    var copies = map.copies(of: weights.count), loads = map.loads(weights)
    for _ in 0..<experts.count {
      guard let worst = loads.indices.max(by: { loads[$0] < loads[$1] }), loads[worst] > target else { break }
      var best = (load: loads[worst] * (1 - 1e-9), slot: -1, other: -1)
      for slot in map.slots(of: worst) {
        let own = weights[map.experts[slot]] / Double(copies[map.experts[slot]])
        for unit in loads.indices where unit != worst {
          for other in map.slots(of: unit) {
            let change = own - weights[map.experts[other]] / Double(copies[map.experts[other]])
            let load = max(loads[worst] - change, loads[unit] + change)
            if load < best.load { best = (load, slot, other) }
          }
        }
      }
      let replaced = map.replacement(weights, copies, worst)
      if let replaced, replaced.load < best.load {
        map.experts[replaced.slot] = replaced.expert
      } else if best.slot >= 0 {
        map.experts.swapAt(best.slot, best.other)
      } else {
        break
      }
      (copies, loads) = (map.copies(of: weights.count), map.loads(weights))
    }
    return map
  }

  /// The slot outside unit `worst` in which one more copy of one of its experts lowers the largest load most.
  private func replacement(_ weights: [Double], _ copies: [Int], _ worst: Int) -> (load: Double, slot: Int, expert: Int)? {
    guard let expert = experts[slots(of: worst)].max(by: { weights[$0] / Double(copies[$0]) < weights[$1] / Double(copies[$1]) }) else { return nil }
    var best: (load: Double, slot: Int, expert: Int)?
    for slot in experts.indices where copies[experts[slot]] > 1 && experts[slot] != expert && !slots(of: worst).contains(slot) {
      var map = self
      map.experts[slot] = expert
      let load = map.loads(weights).max()!
      if best.map({ load < $0.load }) ?? true { best = (load, slot, expert) }
    }
    return best
  }
}
