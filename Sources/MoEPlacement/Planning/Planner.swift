// Chooses where experts live: every strategy that fits is priced, the cheapest is taken.

/// What a plan may use and what it is for.
public struct PlanningBudget: Sendable, Hashable {
  /// Bytes of experts on all nodes together, nil for what the nodes have.
  public var hostBytes: Int?
  /// Bytes of experts on each device, nil for what the device has.
  public var deviceBytes: Int?
  /// Tokens of one step.
  public var tokens: Int

  public init(hostBytes: Int? = nil, deviceBytes: Int? = nil, tokens: Int = 1) {
    self.hostBytes = hostBytes
    self.deviceBytes = deviceBytes
    self.tokens = tokens
  }
}

/// What one strategy would cost.
public struct StrategyPrediction: Sendable, Hashable, Codable {
  public let strategy: Placement.Strategy
  /// Predicted seconds of one step through all layers planned, nil when it does not fit.
  public let seconds: Double?
  /// Bytes it needs on the nodes.
  public let bytes: Int
  /// Why it does not fit.
  public let obstacle: String?
}

/// Placements of layers that share one machine, and what they were chosen from.
public struct PlacementPlan: Sendable, Hashable, Codable {
  /// A placement a layer.
  public let placements: [Placement]
  /// All strategies, in the order of `Placement.Strategy`.
  public let predictions: [StrategyPrediction]
  /// The one that was chosen.
  public let chosen: StrategyPrediction
  /// Bytes of experts in each of `Placement.places`.
  public let nodeBytes: [Int]
  /// Bytes of experts on each device, by its place in the list planned for.
  public let deviceBytes: [Int]
}

/// A pure function of a machine, sizes, loads and a budget: the same arguments give the same plan.
public struct Planner: Sendable {
  public let machine: MachineModel

  public init(_ machine: MachineModel) { self.machine = machine }

  /// A strategy is left for one that needs more memory or statistics only when that is so much faster.
  static let worthwhile = 0.98

  /// Plans layers of equal sizes.
  ///
  /// - Parameters:
  ///   - loads: rows a token by layer and expert, as `LoadStatistics` has them; zeros where nothing is known.
  ///   - old: placements to stay close to, a layer each, as far as balance allows.
  ///   - only: the one strategy to consider, nil for all.
  /// - Throws: `PlacementError`.
  public func plan(
    _ sizes: LayerSizes, loads: [[Double]], budget: PlanningBudget = PlanningBudget(), after old: [Placement]? = nil, only: Placement.Strategy? = nil
  ) throws(PlacementError) -> PlacementPlan {
    try sizes.check()
    guard !loads.isEmpty, loads.allSatisfy({ $0.count == sizes.experts && $0.allSatisfy { $0.isFinite && $0 >= 0 } }) else {
      throw .statistics("\(loads.count) layers of \(loads.first?.count ?? 0) loads for \(sizes.experts) experts")
    }
    guard Double(sizes.bytes) * Double(loads.count) < 0x1p48 else { throw .sizes("\(loads.count) layers of \(sizes.bytes) bytes") }
    guard 1...1 << 20 ~= budget.tokens else { throw .sizes("a step of \(budget.tokens) tokens") }
    guard old.map({ $0.count == loads.count }) ?? true else { throw .statistics("\(old?.count ?? 0) placements of \(loads.count) layers") }

    let steps = loads.map { StepLoad($0, sizes, tokens: budget.tokens) }
    let devices = DeviceChoice(machine, steps, budget)
    let host = HostChoice(machine, sizes, steps.indices.map { layer in steps[layer].only { devices.homes[layer][$0] == nil } }, devices.homes, budget)
    var predictions: [StrategyPrediction] = [], layouts: [Placement.Strategy: HostLayout] = [:]
    for strategy in Placement.Strategy.allCases {
      let layout = try host.layout(strategy, after: old)
      if layout.obstacle == nil, only == nil || only == strategy { layouts[strategy] = layout }
      let seconds = zip(layout.seconds, devices.seconds).reduce(0) { $0 + max($1.0, $1.1) }
      predictions.append(
        StrategyPrediction(
          strategy: strategy, seconds: layout.obstacle == nil ? seconds : nil, bytes: layout.bytes, obstacle: layout.obstacle))
    }
    let preferred: [Placement.Strategy] = [.isolate, .split, .wholeExperts, .interleave, .mirror]
    var best: StrategyPrediction?
    for strategy in preferred where layouts[strategy] != nil {
      let candidate = predictions.first { $0.strategy == strategy }!
      if best.map({ candidate.seconds! < $0.seconds! * Self.worthwhile }) ?? true { best = candidate }
    }
    guard let best, let layout = layouts[best.strategy] else {
      let available = min(budget.hostBytes ?? .max, host.capacity)
      guard host.leastBytes <= available else { throw .budget(needed: host.leastBytes, available: available) }
      let considered = predictions.filter { only == nil || $0.strategy == only }
      throw .strategies(considered.map { "\($0.strategy.rawValue): \($0.obstacle ?? "-")" })
    }

    let memories = layout.memories.map { place in
      let memory = machine.memories[place]
      return Placement.Memory(osIndex: memory.osIndex, node: layout.nodes.firstIndex(of: memory.node)!)
    }
    let places = Dictionary(uniqueKeysWithValues: zip(layout.memories, layout.nodes.count...))
    let placements = loads.indices.map { layer in
      Placement(
        strategy: best.strategy, nodes: layout.nodes.map { machine.nodes[$0].osIndex }, memories: memories, shares: layout.shares,
        experts: (0..<sizes.experts).map { expert in
          devices.homes[layer][expert].map { .device(machine.devices[$0].index) } ?? layout.home(expert, layer: layer, memories: places)
        },
        shared: sizes.sharedBytes > 0 ? layout.home(MemoryUse.shared, layer: layer, memories: places) : nil, machine: machine.fingerprint,
        why: reasons(best, predictions, only: only) + layout.why(layer, machine) + devices.why(layer) + machine.notes)
    }
    return PlacementPlan(
      placements: placements, predictions: predictions, chosen: best,
      nodeBytes: layout.nodeBytes + layout.memories.map { layout.memoryBytes[$0]! }, deviceBytes: devices.bytes)
  }

  private func reasons(_ best: StrategyPrediction, _ all: [StrategyPrediction], only: Placement.Strategy?) -> [String] {
    if machine.nodes.count == 1, machine.memories.isEmpty { return ["one node: nothing to place"] }
    if only != nil { return ["\(best.strategy.rawValue): asked for"] }
    let others = all.filter { $0.strategy != best.strategy }.map { other in
      guard let seconds = other.seconds, let least = best.seconds, least > 0 else { return "\(other.strategy.rawValue): \(other.obstacle ?? "-")" }
      let percent = Int(min(100 * (seconds / least - 1), 1e9).rounded())
      return "\(other.strategy.rawValue) \(percent > 0 ? "\(percent)% slower" : percent < 0 ? "\(-percent)% faster, not enough" : "as fast")"
    }
    return ["\(best.strategy.rawValue): fastest by prediction, or as fast with less memory; " + others.joined(separator: ", ")]
  }
}
