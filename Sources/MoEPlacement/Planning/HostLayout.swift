// Each strategy laid out on the nodes of a machine: homes, bytes and predicted seconds.

/// One strategy on the nodes. Homes are on nodes, whichever of a node's memories `uses` then takes.
struct HostLayout {
  /// Nodes that compute, by place in `MachineModel.nodes`.
  var nodes: [Int]
  var shares: [Int]
  /// Homes by layer and expert, nil for experts on devices.
  var homes: [[Placement.Home?]]
  var shared: Placement.Home
  /// Bytes on each of `nodes`.
  var nodeBytes: [Int]
  /// Memories by layer.
  var uses: [MemoryUse]
  /// Bytes by place in `MachineModel.memories`.
  var memoryBytes: [Int: Int] = [:]
  /// Seconds of each layer.
  var seconds: [Double] = []
  /// Why it does not fit.
  var obstacle: String?

  /// Bytes on nodes and in memories.
  var bytes: Int { nodeBytes.reduce(0, +) + memoryBytes.values.reduce(0, +) }
}

/// What the nodes are to hold.
struct HostChoice {
  let machine: MachineModel
  let sizes: LayerSizes
  let loads: [StepLoad]
  let deviceHomes: [[Int?]]
  let budget: PlanningBudget
  let cost: CostModel
  /// Bytes of the experts that are on no device.
  let leastBytes: Int
  /// These, those first that are most often in use; none where no node has a choice of memories.
  let hottest: [Item]

  init(_ machine: MachineModel, _ sizes: LayerSizes, _ loads: [StepLoad], _ deviceHomes: [[Int?]], _ budget: PlanningBudget) {
    (self.machine, self.sizes, self.loads, self.deviceHomes, self.budget) = (machine, sizes, loads, deviceHomes, budget)
    cost = CostModel(machine: machine)
    hottest = machine.memories.isEmpty ? [] : Self.hottest(loads, deviceHomes)
    leastBytes = deviceHomes.reduce(0) { bytes, homes in
      homes.indices.reduce(bytes + sizes.sharedBytes) { $0 + (homes[$1] == nil ? sizes.expertBytes[$1] : 0) }
    }
  }

  /// Bytes of all nodes and the memories beside them.
  var capacity: Int {
    (machine.nodes.map(\.memoryBytes) + machine.memories.map(\.memoryBytes)).reduce(0) { sum, bytes in
      let (all, overflows) = sum.addingReportingOverflow(bytes)
      return overflows ? .max : all
    }
  }

  func layout(_ strategy: Placement.Strategy, after old: [Placement]?) throws(PlacementError) -> HostLayout {
    var layout: HostLayout
    switch strategy {
    case .isolate: layout = isolated()
    case .interleave: layout = interleaved()
    case .wholeExperts: layout = try whole(after: old)
    case .split: layout = split()
    case .mirror: layout = mirrored()
    }
    if let most = budget.hostBytes, layout.bytes > most, layout.obstacle == nil { layout.obstacle = "needs \(layout.bytes) bytes of \(most)" }
    let fewest = min(sizes.hidden, sizes.intermediate) * (layout.shares.min() ?? 0) / max(1, layout.shares.reduce(0, +))
    if strategy == .split, fewest < sizes.rowMultiple { layout.obstacle = "parts of \(fewest) rows, fewer than \(sizes.rowMultiple)" }
    if strategy == .interleave, machine.machines > 1 { layout.obstacle = "machines do not share memory" }
    return layout
  }

  var allNodes: [Int] { Array(machine.nodes.indices) }

  private func everywhere(_ home: Placement.Home) -> [[Placement.Home?]] {
    deviceHomes.map { $0.map { $0 == nil ? home : nil } }
  }

  /// A layout with its memories, its time, and what keeps it from fitting.
  func completed(_ layout: HostLayout, _ strategy: Placement.Strategy) -> HostLayout {
    var layout = layout
    if strategy != .interleave { spread(&layout) }
    for (node, bytes) in zip(layout.nodes, layout.nodeBytes) where bytes > machine.nodes[node].memoryBytes {
      layout.obstacle = "node \(machine.nodes[node].osIndex) would hold \(bytes) bytes of \(machine.nodes[node].memoryBytes)"
    }
    layout.seconds = loads.enumerated().map { layer, load in
      cost.seconds(strategy, load, on: layout.nodes, homes: layout.homes[layer], shares: layout.shares, from: layout.uses[layer])
    }
    return layout
  }

  private func layout(
    _ strategy: Placement.Strategy, on nodes: [Int], shares: [Int], homes: [[Placement.Home?]], shared: Placement.Home, bytes: [Int]
  ) -> HostLayout {
    completed(
      HostLayout(nodes: nodes, shares: shares, homes: homes, shared: shared, nodeBytes: bytes, uses: loads.map { _ in MemoryUse() }), strategy)
  }

  private func isolated() -> HostLayout {
    let homes = everywhere(.nodes([0]))
    let layouts = allNodes.map { layout(.isolate, on: [$0], shares: [1], homes: homes, shared: .nodes([0]), bytes: [leastBytes]) }
    let fitting = layouts.filter { $0.obstacle == nil }
    return (fitting.isEmpty ? layouts : fitting).min { ($0.seconds.reduce(0, +), $0.nodes[0]) < ($1.seconds.reduce(0, +), $1.nodes[0]) }!
  }

  private func interleaved() -> HostLayout {
    layout(
      .interleave, on: allNodes, shares: bandwidthShares, homes: everywhere(.interleaved), shared: .interleaved,
      bytes: evenRoom(leastBytes, allNodes.count))
  }

  private func split() -> HostLayout {
    let shares = fittingShares
    return layout(.split, on: allNodes, shares: shares, homes: everywhere(.split), shared: .split, bytes: divided(leastBytes, shares))
  }

  private func mirrored() -> HostLayout {
    layout(
      .mirror, on: allNodes, shares: bandwidthShares, homes: everywhere(.nodes(allNodes)), shared: .nodes(allNodes),
      bytes: allNodes.map { _ in leastBytes })
  }

  /// Parts of a split expert by bandwidth.
  private var bandwidthShares: [Int] { Self.shares(machine.nodes.map(\.bandwidth)) }

  /// Parts by bandwidth as far as the memory of each node goes, the rest to those with more; slower memory is for what is left then.
  var fittingShares: [Int] {
    let whole = Double(max(1, leastBytes))
    var fast = machine.nodes.map { Double($0.memoryBytes) / whole }, all = fast
    for memory in machine.memories {
      all[memory.node] += Double(memory.memoryBytes) / whole
      if memory.bandwidth >= machine.nodes[memory.node].bandwidth { fast[memory.node] += Double(memory.memoryBytes) / whole }
    }
    var parts = Array(repeating: 0.0, count: all.count), rest = 1.0
    for room in [fast, all] {
      while rest > 1e-9 {
        let open = parts.indices.filter { parts[$0] < room[$0] * (1 - 1e-9) }
        guard !open.isEmpty else { break }
        let speed = open.reduce(0) { $0 + machine.nodes[$1].bandwidth }, undivided = rest
        for node in open {
          let more = min(undivided * machine.nodes[node].bandwidth / speed, room[node] - parts[node])
          parts[node] += more
          rest -= more
        }
      }
    }
    return rest > 1e-9 ? bandwidthShares : Self.shares(parts)
  }

  /// Whole numbers in these proportions, the largest 65536.
  private static func shares(_ parts: [Double]) -> [Int] {
    let most = parts.max()!
    return parts.map { max(1, Int(($0 / most * 65536).rounded(.down))) }
  }

  func divided(_ bytes: Int, _ shares: [Int]) -> [Int] {
    let whole = Double(shares.reduce(0, +))
    return shares.map { Int((Double(bytes) * Double($0) / whole).rounded(.down)) }
  }
}
