// Whole experts on nodes: balanced by load, close to the placement before, with copies where they help.

extension HostChoice {
  /// Whole experts, once or, where a quarter more copies fits and makes the layer faster, with copies.
  func whole(after old: [Placement]?) throws(PlacementError) -> HostLayout {
    let once = try whole(extra: 0, after: old), copied = try whole(extra: sizes.experts / 4, after: old)
    guard copied.obstacle == nil, copied.bytes <= budget.hostBytes ?? .max, machine.nodes.count > 1 else { return once }
    return copied.seconds.reduce(0, +) < once.seconds.reduce(0, +) * Planner.worthwhile ? copied : once
  }

  private func whole(extra: Int, after old: [Placement]?) throws(PlacementError) -> HostLayout {
    let shares = fittingShares
    var layout = HostLayout(
      nodes: allNodes, shares: shares, homes: [], shared: .split, nodeBytes: divided(sizes.sharedBytes * loads.count, shares),
      uses: loads.map { _ in MemoryUse() })
    for (layer, load) in loads.enumerated() {
      let here = (0..<sizes.experts).filter { deviceHomes[layer][$0] == nil }
      let copies = try homes(here, load, extra: extra, after: old?[layer])
      for (expert, nodes) in copies.enumerated() { for node in nodes { layout.nodeBytes[node] += sizes.expertBytes[expert] } }
      layout.homes.append(copies.map { $0.isEmpty ? nil : .nodes($0) })
    }
    return completed(layout, .wholeExperts)
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
    guard old.machine == machine.fingerprint, old.nodes == machine.nodes.map(\.osIndex), (try? old.check(experts: sizes.experts)) != nil else {
      return nil
    }
    var units = Array(repeating: [Int](), count: machine.nodes.count)
    for (item, expert) in here.enumerated() {
      guard case .nodes(let places) = old.experts[expert] else { return nil }
      for place in places { units[old.node(of: place)].append(item) }
    }
    // Copies that a node held twice are one home; their slots count as taken by the node's first expert.
    for (unit, room) in evenRoom(slots, units.count).enumerated() {
      guard let first = units[unit].first, units[unit].count <= room else { return nil }
      units[unit] += Array(repeating: first, count: room - units[unit].count)
    }
    return ReplicaMap(experts: units.flatMap { $0 }, offsets: units.reduce(into: [0]) { $0.append($0.last! + $1.count) })
  }
}
