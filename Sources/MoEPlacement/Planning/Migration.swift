// From one placement to the next: what has to be copied, and whether that pays.

/// The copies that a change of placement costs.
public struct Migration: Sendable, Hashable {
  /// An expert to bring to a place.
  public struct Move: Sendable, Hashable {
    public let expert: Int
    /// The place, as an index into the new placement's `places`; nil for all nodes, each with its part, and for a device.
    public let place: Int?
    /// The device, nil for nodes.
    public let device: Int?
    public let bytes: Int
  }

  /// Routed experts to copy, by expert; what is only dropped costs nothing.
  public let moves: [Move]
  /// Bytes of all moves.
  public var bytes: Int { moves.reduce(0) { $0 + $1.bytes } }

  /// What `new` holds in places where `old` does not hold it.
  ///
  /// - Throws: `PlacementError` when they are not two placements of one layer on one machine.
  public init(from old: Placement, to new: Placement, expertBytes: [Int]) throws(PlacementError) {
    guard old.machine == new.machine else { throw .otherMachine(planned: old.machine, found: new.machine) }
    for placement in [old, new] { try placement.check(experts: expertBytes.count) }
    var moves: [Move] = []
    for expert in expertBytes.indices {
      let bytes = expertBytes[expert], before = old.experts[expert]
      switch new.experts[expert] {
      case .nodes(let places):
        var held: Set<Int> = []
        if case .nodes(let copies) = before { held = Set(copies.map { old.places[$0] }) }
        moves += places.filter { !held.contains(new.places[$0]) }.map { Move(expert: expert, place: $0, device: nil, bytes: bytes) }
      case .device(let device):
        if before != .device(device) { moves.append(Move(expert: expert, place: nil, device: device, bytes: bytes)) }
      case .split, .parts:
        let isDividedAlike = old.nodes == new.nodes && old.shares == new.shares, bounds = new.bounds(of: new.experts[expert], rows: 1 << 20)
        guard isDividedAlike, let held = old.parts(of: before), let parts = new.parts(of: new.experts[expert]) else {
          moves.append(Move(expert: expert, place: nil, device: nil, bytes: bytes))
          continue
        }
        for (node, place) in parts.enumerated() where new.places[place] != old.places[held[node]] {
          moves.append(Move(expert: expert, place: place, device: nil, bytes: (bytes * (bounds[node + 1] - bounds[node])) >> 20))
        }
      case .interleaved:
        if before != .interleaved || old.nodes != new.nodes { moves.append(Move(expert: expert, place: nil, device: nil, bytes: bytes)) }
      }
    }
    self.moves = moves
  }

  /// Whether the copies are paid back: `gain` seconds a step over `horizon` steps are more than they take.
  ///
  /// - Parameters:
  ///   - bytes: of all moves of all layers.
  ///   - bandwidth: bytes a second at which experts are copied.
  public static func pays(gain: Double, horizon: Int, bytes: Int, bandwidth: Double) -> Bool { gain * Double(horizon) > Double(bytes) / bandwidth }
}

extension Planner {
  /// The placements to go on with: new ones for these loads where the change pays for itself, else the old ones.
  ///
  /// - Parameters:
  ///   - old: placements in force, a layer each.
  ///   - horizon: steps for which the loads are expected to stay as they are.
  ///   - bandwidth: bytes a second at which experts are copied; the nodes' slowest path by default.
  /// - Returns: the new plan, or nil to stay.
  /// - Throws: `PlacementError`.
  public func replanned(
    _ old: [Placement], _ sizes: LayerSizes, loads: [[Double]], budget: PlanningBudget = PlanningBudget(), horizon: Int, bandwidth: Double? = nil
  ) throws(PlacementError) -> PlacementPlan? {
    let new = try plan(sizes, loads: loads, budget: budget, after: old)
    var bytes = 0
    for (before, after) in zip(old, new.placements) { bytes += try Migration(from: before, to: after, expertBytes: sizes.expertBytes).bytes }
    guard bytes > 0 else { return nil }
    let now = try seconds(of: old, sizes, loads: loads, tokens: budget.tokens)
    let gain = now - (new.chosen.seconds ?? now)
    let rate = bandwidth ?? machine.slowestPath
    return Migration.pays(gain: gain, horizon: horizon, bytes: bytes, bandwidth: rate) ? new : nil
  }

  /// Predicted seconds of one step through layers that are placed already.
  ///
  /// - Throws: `PlacementError` for placements of another machine or layer.
  public func seconds(of placements: [Placement], _ sizes: LayerSizes, loads: [[Double]], tokens: Int) throws(PlacementError) -> Double {
    try sizes.check()
    guard placements.count == loads.count, loads.allSatisfy({ $0.count == sizes.experts }) else {
      throw .statistics("\(loads.count) layers of \(loads.first?.count ?? 0) loads for \(placements.count) of \(sizes.experts) experts")
    }
    let cost = CostModel(machine: machine)
    var total = 0.0
    for (placement, loads) in zip(placements, loads) {
      guard placement.machine == machine.fingerprint else { throw .otherMachine(planned: placement.machine, found: machine.fingerprint) }
      try placement.check(experts: sizes.experts)
      let places = placement.nodes.compactMap { os in machine.nodes.firstIndex { $0.osIndex == os } }
      let expected = placement.strategy == .isolate ? 1 : machine.nodes.count
      guard places.count == placement.nodes.count, places.count == expected else { throw .nodes(placement.nodes) }
      let use = try MemoryUse(placement, on: machine, nodes: places)
      let load = StepLoad(loads, sizes, tokens: tokens)
      let homes = placement.experts.map { home -> Placement.Home in
        if case .nodes(let copies) = home { .nodes(copies.map { places[placement.node(of: $0)] }) } else { home }
      }
      let onNodes = load.only { if case .device = placement.experts[$0] { false } else { true } }
      let nodeSeconds = cost.seconds(placement.strategy, onNodes, on: places, homes: homes, shares: placement.shares, from: use)
      let deviceSeconds = machine.devices.indices.map { place in
        cost.device(load.only { placement.experts[$0] == .device(machine.devices[place].index) }, place)
      }
      total += max(nodeSeconds, deviceSeconds.max() ?? 0)
    }
    return total
  }
}
