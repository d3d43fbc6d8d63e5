// Each strategy laid out on the nodes of a machine: homes, bytes and predicted seconds.

/// One strategy on the nodes.
struct HostLayout {
  /// Nodes that compute, by place in `MachineModel.nodes`.
  var nodes: [Int]
  var shares: [Int]
  /// Homes by layer and expert, nil for experts on devices.
  var homes: [[Placement.Home?]]
  var shared: Placement.Home
  /// Bytes on each of `nodes`.
  var nodeBytes: [Int]
  /// Seconds of each layer.
  var seconds: [Double]
  /// Why it does not fit.
  var obstacle: String?
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

  init(_ machine: MachineModel, _ sizes: LayerSizes, _ loads: [StepLoad], _ deviceHomes: [[Int?]], _ budget: PlanningBudget) {
    (self.machine, self.sizes, self.loads, self.deviceHomes, self.budget) = (machine, sizes, loads, deviceHomes, budget)
    cost = CostModel(machine: machine)
    leastBytes = deviceHomes.reduce(0) { bytes, homes in
      homes.indices.reduce(bytes + sizes.sharedBytes) { $0 + (homes[$1] == nil ? sizes.expertBytes[$1] : 0) }
    }
  }

  /// Bytes on all nodes.
  var capacity: Int { machine.nodes.reduce(0) { $0.addingReportingOverflow($1.memoryBytes).overflow ? .max : $0 + $1.memoryBytes } }

  func layout(_ strategy: Placement.Strategy, after old: [Placement]?) throws(PlacementError) -> HostLayout {
    var layout: HostLayout
    switch strategy {
    case .isolate: layout = isolated()
    case .interleave: layout = interleaved()
    case .wholeExperts: layout = try whole(after: old)
    case .split: layout = split()
    case .mirror: layout = mirrored()
    }
    let bytes = layout.nodeBytes.reduce(0, +)
    if let most = budget.hostBytes, bytes > most { layout.obstacle = "needs \(bytes) bytes of \(most)" }
    for (node, bytes) in zip(layout.nodes, layout.nodeBytes) where bytes > machine.nodes[node].memoryBytes {
      layout.obstacle = "node \(machine.nodes[node].osIndex) would hold \(bytes) bytes of \(machine.nodes[node].memoryBytes)"
    }
    let fewest = min(sizes.hidden, sizes.intermediate) * (layout.shares.min() ?? 0) / max(1, layout.shares.reduce(0, +))
    if strategy == .split, fewest < sizes.rowMultiple { layout.obstacle = "parts of \(fewest) rows, fewer than \(sizes.rowMultiple)" }
    if strategy == .interleave, machine.machines > 1 { layout.obstacle = "machines do not share memory" }
    return layout
  }

  var allNodes: [Int] { Array(machine.nodes.indices) }

  private func everywhere(_ home: Placement.Home) -> [[Placement.Home?]] {
    deviceHomes.map { $0.map { $0 == nil ? home : nil } }
  }

  private func isolated() -> HostLayout {
    let fitting = allNodes.filter { machine.nodes[$0].memoryBytes >= leastBytes }
    let seconds = (fitting.isEmpty ? allNodes : fitting).map { node in (node: node, seconds: loads.map { cost.isolated($0, on: node) }) }
    let best = seconds.min { ($0.seconds.reduce(0, +), $0.node) < ($1.seconds.reduce(0, +), $1.node) }!
    return HostLayout(
      nodes: [best.node], shares: [1], homes: everywhere(.nodes([0])), shared: .nodes([0]), nodeBytes: [leastBytes], seconds: best.seconds)
  }

  private func interleaved() -> HostLayout {
    HostLayout(
      nodes: allNodes, shares: bandwidthShares, homes: everywhere(.interleaved), shared: .interleaved,
      nodeBytes: evenRoom(leastBytes, allNodes.count), seconds: loads.map(cost.interleaved))
  }

  private func split() -> HostLayout {
    let shares = fittingShares
    return HostLayout(
      nodes: allNodes, shares: shares, homes: everywhere(.split), shared: .split, nodeBytes: divided(leastBytes, shares),
      seconds: loads.map { cost.split($0, shares: shares) })
  }

  private func mirrored() -> HostLayout {
    HostLayout(
      nodes: allNodes, shares: bandwidthShares, homes: everywhere(.nodes(allNodes)), shared: .nodes(allNodes),
      nodeBytes: allNodes.map { _ in leastBytes }, seconds: loads.map { cost.mirrored($0, shares: bandwidthShares) })
  }

  /// Parts of a split expert by bandwidth.
  private var bandwidthShares: [Int] { Self.shares(machine.nodes.map(\.bandwidth)) }

  /// Parts by bandwidth as far as the memory of each node goes, the rest to those with more.
  var fittingShares: [Int] {
    let room = machine.nodes.map { Double($0.memoryBytes) / Double(max(1, leastBytes)) }
    var parts = Array(repeating: 0.0, count: room.count), rest = 1.0
    while rest > 1e-9 {
      let open = parts.indices.filter { parts[$0] < room[$0] * (1 - 1e-9) }
      guard !open.isEmpty else { return bandwidthShares }
      let speed = open.reduce(0) { $0 + machine.nodes[$1].bandwidth }, todo = rest
      for node in open {
        let more = min(todo * machine.nodes[node].bandwidth / speed, room[node] - parts[node])
        parts[node] += more
        rest -= more
      }
    }
    return Self.shares(parts)
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
