// EPLB's published maps, better ones with fewer moves, and what every map must keep to.

import MoEPlacement
import MoETraces
import Testing

@Suite struct ReplicaMapTests {
  static let example: [[Double]] = [
    [90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86], [20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27],
  ]

  @Test func publishedMaps() throws {
    let maps = try Self.example.map { try ReplicaMap(weights: $0, slots: 16, groups: 4, nodes: 2, units: 8) }
    #expect(maps[0].experts == [5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1])
    #expect(maps[1].experts == [7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1])
    #expect(maps[0].loads(Self.example[0]) == [121.5, 86.5, 125, 113, 147.5, 131.5, 156, 152])
    #expect(maps[1].loads(Self.example[1]) == [173, 179.5, 120.5, 172, 123, 152, 118.5, 117.5])
  }

  struct Figure: Sendable {
    var layer, slots, groups, nodes, units: Int
    var imbalance: Double
  }

  @Test(arguments: [
    Figure(layer: 0, slots: 16, groups: 4, nodes: 2, units: 8, imbalance: 1.208),
    Figure(layer: 1, slots: 16, groups: 4, nodes: 2, units: 8, imbalance: 1.242),
    Figure(layer: 0, slots: 16, groups: 1, nodes: 1, units: 8, imbalance: 1.073),
    Figure(layer: 1, slots: 16, groups: 1, nodes: 1, units: 8, imbalance: 1.190),
    // Three nodes do not divide four groups: as without groups.
    Figure(layer: 0, slots: 12, groups: 4, nodes: 3, units: 4, imbalance: 1.073),
    Figure(layer: 1, slots: 12, groups: 1, nodes: 1, units: 4, imbalance: 1.010),
  ])
  func publishedImbalance(_ figure: Figure) throws {
    let weights = Self.example[figure.layer]
    let map = try ReplicaMap(weights: weights, slots: figure.slots, groups: figure.groups, nodes: figure.nodes, units: figure.units)
    #expect(abs(map.imbalance(weights) - figure.imbalance) < 0.0006)
  }

  @Test func publishedCounterExample() throws {
    let weights: [Double] = [600, 560, 120, 120, 20, 10, 10, 10], map = try ReplicaMap(weights: weights, slots: 16, units: 8)
    #expect(map.loads(weights).max() == 232)
    #expect(abs(map.imbalance(weights) - 1.28) < 0.001)
  }

  /// The least maximum of loads a copy, by trying all counts.
  static func leastMaximum(_ weights: ArraySlice<Double>, copies: Int) -> Double {
    guard let first = weights.first else { return 0 }
    return (1...copies - weights.count + 1).map { max(first / Double($0), leastMaximum(weights.dropFirst(), copies: copies - $0)) }.min()!
  }

  @Test func mapsOfRandomLoads() throws {
    var random = Draws(seed: 3)
    for _ in 0..<200 {
      let nodes = 1 << random.below(3), units = nodes * (1 + random.below(4)), groups = nodes * (1 + random.below(3))
      let experts = groups * (1 + random.below(4)), slots = max(units, experts + nodes * random.below(9)) / nodes * nodes
      guard slots >= experts else { continue }
      let weights = (0..<experts).map { _ in Double(random.below(1000)) }
      let map = try ReplicaMap(weights: weights, slots: slots, groups: groups, nodes: nodes, units: units)
      #expect(map.experts.count == slots && map.offsets.last == slots)
      #expect(map.copies(of: experts).allSatisfy { $0 >= 1 })
      #expect((0..<units).allSatisfy { abs(map.slots(of: $0).count - slots / units) <= 1 })
      // Groups stay on one node.
      let size = experts / groups, perNode = units / nodes
      for group in 0..<groups {
        let homes = map.units(of: experts)[(group * size)..<((group + 1) * size)].joined().map { $0 / perNode }
        #expect(Set(homes).count == 1)
      }
      if experts <= 6, slots <= 14 {
        let copies = replicated(weights, slots: slots).reduce(into: Array(repeating: 0.0, count: experts)) { $0[$1] += 1 }
        #expect(zip(weights, copies).map { $0 / $1 }.max()! == Self.leastMaximum(weights[...], copies: slots))
      }
      let again = try ReplicaMap(weights: weights, slots: slots, groups: groups, nodes: nodes, units: units)
      #expect(again == map)
      // Renaming keeps the balance and never moves more than the map as it came.
      let other = try ReplicaMap(weights: weights.map { $0 + Double(random.below(50)) }, slots: slots, groups: groups, nodes: nodes, units: units)
      let renamed = other.relabelled(after: map, nodes: nodes)
      #expect(abs(renamed.imbalance(weights) - other.imbalance(weights)) < 1e-9)
      #expect(renamed.moves(from: map) <= other.moves(from: map))
      #expect(map.relabelled(after: map, nodes: nodes).moves(from: map) == 0)
    }
  }

  /// Windows of a trace, one after the other: as balanced as EPLB's map of the same loads, with fewer moves in all.
  @Test(arguments: 0..<20)
  func followsATrace(_ index: Int) throws {
    let names = ["qwen3-like", "olmoe-like", "dsv2lite-like", "phase", "iid"], preset = try TracePreset(named: names[index % 5])
    let trace = try RoutingTrace(preset, layers: 1, sequences: 6, tokens: 256, seed: UInt64(index))
    let slots = trace.experts * 5 / 4 / 8 * 8
    var own: ReplicaMap?, theirs: ReplicaMap?
    var ownMoves = 0, theirMoves = 0
    for sequence in trace.sequences {
      let offsets = trace.offsets(sequence, tokens: 0..<256, layer: 0), loads = zip(offsets.dropFirst(), offsets).map { Double($0 - $1) }
      let fresh = try ReplicaMap(weights: loads, slots: slots, units: 8)
      let next = try own.map { try ReplicaMap.following($0, weights: loads) } ?? fresh
      #expect(next.imbalance(loads) <= fresh.imbalance(loads) * (1 + 1e-12))
      if let own, let theirs { (ownMoves, theirMoves) = (ownMoves + next.moves(from: own), theirMoves + fresh.moves(from: theirs)) }
      (own, theirs) = (next, fresh)
    }
    #expect(ownMoves < theirMoves)
  }

  @Test func hungarianIsBest() {
    var random = Draws(seed: 5)
    func best(_ gains: [[Int]], _ row: Int, _ free: Set<Int>) -> Int {
      row == gains.count ? 0 : free.map { gains[row][$0] + best(gains, row + 1, free.subtracting([$0])) }.max()!
    }
    for _ in 0..<100 {
      let count = 1 + random.below(6), gains = (0..<count).map { _ in (0..<count).map { _ in random.below(20) } }
      let columns = assignment(maximising: gains)
      #expect(Set(columns) == Set(0..<count))
      #expect(columns.indices.reduce(0) { $0 + gains[$1][columns[$1]] } == best(gains, 0, Set(0..<count)))
    }
  }

  @Test func refusals() {
    #expect(throws: PlacementError.self) { try ReplicaMap(weights: [1, 2, 3], slots: 2, units: 1) }
    #expect(throws: PlacementError.self) { try ReplicaMap(weights: [], slots: 2, units: 1) }
    #expect(throws: PlacementError.self) { try ReplicaMap(weights: [1, 2, 3], slots: 4, units: 0) }
    #expect(throws: PlacementError.self) { try ReplicaMap(weights: [1, .nan, 3], slots: 4, units: 2) }
    #expect(throws: PlacementError.self) { try ReplicaMap(weights: [1, -1, 3], slots: 4, units: 2) }
    #expect(throws: PlacementError.self) { try ReplicaMap(weights: [1, 2], slots: 5, groups: 2, nodes: 2, units: 4) }
  }
}

/// Draws for random cases.
struct Draws: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state ^ state >> 29
  }

  mutating func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }
}
