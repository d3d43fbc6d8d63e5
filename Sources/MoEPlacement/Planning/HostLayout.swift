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
  private let machine: MachineModel
  private let sizes: LayerSizes
  private let loads: [StepLoad]
  private let deviceHomes: [[Int?]]
  private let budget: PlanningBudget
  private let cost: CostModel
  /// Bytes of the experts that are on no device, by layer, and of all of them.
  private let layerBytes: [Int]
  let leastBytes: Int

  init(_ machine: MachineModel, _ sizes: LayerSizes, _ loads: [StepLoad], _ deviceHomes: [[Int?]], _ budget: PlanningBudget) {
    (self.machine, self.sizes, self.loads, self.deviceHomes, self.budget) = (machine, sizes, loads, deviceHomes, budget)
    cost = CostModel(machine: machine)
    layerBytes = deviceHomes.map { homes in homes.indices.reduce(sizes.sharedBytes) { $0 + (homes[$1] == nil ? sizes.expertBytes[$1] : 0) } }
    leastBytes = layerBytes.reduce(0, +)
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

  private var allNodes: [Int] { Array(machine.nodes.indices) }

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

  /// Whole experts, once or, where a quarter more copies fits and makes the layer faster, with copies.
  private func whole(after old: [Placement]?) throws(PlacementError) -> HostLayout {
    let once = try whole(extra: 0, after: old), copied = try whole(extra: sizes.experts / 4, after: old)
    let fits = zip(copied.nodes, copied.nodeBytes).allSatisfy { machine.nodes[$0].memoryBytes >= $1 }
    guard fits, copied.nodeBytes.reduce(0, +) <= budget.hostBytes ?? .max, machine.nodes.count > 1 else { return once }
    return copied.seconds.reduce(0, +) < once.seconds.reduce(0, +) * Planner.worthwhile ? copied : once
  }

  private func whole(extra: Int, after old: [Placement]?) throws(PlacementError) -> HostLayout {
    let shares = fittingShares
    var layout = HostLayout(
      nodes: allNodes, shares: shares, homes: [], shared: .split, nodeBytes: divided(sizes.sharedBytes * loads.count, shares), seconds: [])
    for (layer, load) in loads.enumerated() {
      let here = (0..<sizes.experts).filter { deviceHomes[layer][$0] == nil }
      let copies = try homes(here, load, extra: extra, after: old?[layer])
      for (expert, nodes) in copies.enumerated() { for node in nodes { layout.nodeBytes[node] += sizes.expertBytes[expert] } }
      layout.homes.append(copies.map { $0.isEmpty ? nil : .nodes($0) })
      layout.seconds.append(cost.whole(load, homes: copies, shares: layout.shares))
    }
    return layout
  }

  /// Nodes of each expert's copies, empty for those that are not `here`.
  private func homes(_ here: [Int], _ load: StepLoad, extra: Int, after old: Placement?) throws(PlacementError) -> [[Int]] {
    var homes = Array(repeating: [Int](), count: sizes.experts)
    guard !here.isEmpty else { return homes }
    let nodes = machine.nodes.count, machines = machine.machines
    // An expert's load is its time on a node of mean speed.
    let mean = machine.nodes.reduce(0) { $0 + $1.bandwidth } / Double(nodes), products = machine.nodes.reduce(0) { $0 + $1.products } / Double(nodes)
    let weights = here.map { load.seconds($0, bandwidth: mean, products: products) }
    let isEven = Set(machine.nodes.map { [$0.bandwidth, $0.products] }).count == 1
    let groups = here.count == sizes.experts ? sizes.groups : 1
    var slots = max(here.count + (here.count == sizes.experts ? extra : 0), nodes)
    if groups > 1, groups % machines == 0, slots % machines != 0 { slots += machines - slots % machines }
    guard isEven, nodes % machines == 0 else {
      let units = packed(weights, room: machine.nodes.map { _ in here.count }, speeds: machine.nodes.map(\.bandwidth))
      for (node, items) in units.enumerated() { for item in items { homes[here[item]].append(node) } }
      return homes
    }
    let map: ReplicaMap
    if let old = old.flatMap({ oldMap($0, here, slots) }) {
      map = try .following(old, weights: weights, groups: groups, nodes: machines)
    } else {
      map = try ReplicaMap(weights: weights, slots: slots, groups: groups, nodes: machines, units: nodes)
    }
    for (item, units) in map.units(of: here.count).enumerated() { homes[here[item]] = units }
    return homes
  }

  /// The map behind a placement of whole experts, nil when it is another kind of placement.
  private func oldMap(_ old: Placement, _ here: [Int], _ slots: Int) -> ReplicaMap? {
    guard old.machine == machine.fingerprint, old.nodes == machine.nodes.map(\.osIndex), old.experts.count == sizes.experts else { return nil }
    var units = Array(repeating: [Int](), count: machine.nodes.count)
    for (item, expert) in here.enumerated() {
      guard case .nodes(let nodes) = old.experts[expert], nodes.allSatisfy(units.indices.contains) else { return nil }
      for node in nodes { units[node].append(item) }
    }
    guard units.map(\.count) == evenRoom(slots, units.count) else { return nil }
    return ReplicaMap(experts: units.flatMap { $0 }, offsets: units.reduce(into: [0]) { $0.append($0.last! + $1.count) })
  }

  /// Parts of a split expert by bandwidth.
  private var bandwidthShares: [Int] { Self.shares(machine.nodes.map(\.bandwidth)) }

  /// Parts by bandwidth as far as the memory of each node goes, the rest to those with more.
  private var fittingShares: [Int] {
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

  private func divided(_ bytes: Int, _ shares: [Int]) -> [Int] {
    let whole = Double(shares.reduce(0, +))
    return shares.map { Int((Double(bytes) * Double($0) / whole).rounded(.down)) }
  }
}
