// The weights of a layer on the NUMA nodes of a placement.

internal import MoEExperts
internal import MoEFamilies
internal import MoEGroupedGEMM
internal import MoEPlacement
internal import MoETensors

extension LayerWeights {
  /// The same weights with every matrix in panels that takes them, each on its nodes; projections around the experts are shared by all.
  ///
  /// - Parameters:
  ///   - backend: what packs and copies.
  ///   - cache: where the panels are read from, or written to once they are on their nodes; nil for none.
  ///   - former: the placement that the weights have; what lies where it is wanted stays there.
  /// - Returns: also what the cache did, and what the system refused.
  /// - Throws: `ShapeError` when there is no memory for the panels.
  func placed(
    by backend: CPUBackend, _ placement: Placement, _ layout: WeightLayout?, _ cache: PackedCache?, on machine: Machine,
    after former: Placement? = nil
  ) throws(ShapeError) -> (weights: LayerWeights, report: PackedCache.Report?, notes: [String]) {
    let topology = machine.topology
    let cpus = placement.nodes.map { index in
      topology.nodes.first { $0.osIndex == index }.map { $0.processingUnits.filter(topology.limits.cpus.contains) } ?? []
    }
    let map = NodeMap(cpus: cpus, threads: machine.pool.threads, memories: placement.memories.map(\.node))
    func nodes(_ bank: ExpertBank, _ homes: [Placement.Home]) -> BankNodes {
      BankNodes(placement, homes, map: map, intermediate: bank.intermediate, hidden: bank.hidden)
    }
    func plan(_ matrices: [PackedMatrix]) -> PanelPlan {
      PanelPlan(
        matrices, layout, holdings: holdings(placement, placement.holdings), on: map,
        keepsPublished: Self.keepsPublished(placement, former),
        former: placement.places.map { former?.places.firstIndex(of: $0) } + [former?.nodes == placement.nodes ? former?.places.count : nil])
    }
    guard !plan(matrices).isEmpty else {
      let isAllElsewhere = (placement.experts + [placement.shared].compactMap { $0 }).allSatisfy { $0.deviceIndex != nil }
      return (inOnePlace, nil, isAllElsewhere ? [] : ["no matrix of the layer takes panels: all stay where they are"])
    }

    var notes: [String] = [], report: PackedCache.Report?, packed: ArraySlice<PackedMatrix>
    func placed(_ matrices: [PackedMatrix]) throws(ShapeError) -> [PackedMatrix] {
      try backend.placed(plan(matrices), placement, on: topology, notes: &notes)
    }
    if let (cache, plan) = cache.map({ ($0, planInOnePlace(layout, placement)) }), plan.byteCount > 0 {
      let cached = try cache.panels(of: plan, by: backend, placing: placed)
      (packed, report) = (cached.matrices[...], cached.report)
    } else {
      packed = try placed(matrices)[...]
    }
    let weights = replacingMatrices(on: (nodes(experts, placement.experts), shared.map { nodes($0, [placement.sharedHome]) })) { _ in packed.removeFirst() }
    return (weights, report, notes)
  }

  /// What `rows` tells of the home and the number of rows of every matrix, in the order of `matrices`.
  func holdings(_ placement: Placement, _ rows: (_ home: Placement.Home, _ rows: Int) -> [Range<Int>]) -> [[Range<Int>]] {
    let homes = zip(experts.experts, placement.experts).map { ($0.matrices, $1) } + (shared?.experts ?? []).map { ($0.matrices, placement.sharedHome) }
    return (homes + [(projections, .interleaved)]).flatMap { matrices, home in matrices.map { rows(home, $0.rows) } }
  }
}

extension CPUBackend {
  /// The matrices of a plan on the nodes of a placement.
  ///
  /// - Parameter notes: gets what the system refused.
  /// - Throws: `ShapeError` when there is no memory for the panels.
  fileprivate func placed(
    _ plan: PanelPlan, _ placement: Placement, on topology: Topology, notes: inout [String]
  ) throws(ShapeError) -> [PackedMatrix] {
    var memory: NodeMemory?, refusals: [String] = []
    if topology.source == .machine {
      do throws(TopologyError) { memory = try NodeMemory() } catch { notes.append("weights lie where they were first touched: \(error)") }
    }
    let homes = placement.places.map { [$0] } + [placement.nodes]
    let buffer = try pack(plan) { regions in
      refusals = zip(regions, homes).compactMap { region, nodes in region.isEmpty ? nil : memory?.bind(region, to: nodes) }
    }
    notes += refusals.prefix(1)
    for (region, nodes) in zip(plan.regions, homes) {
      guard let found = memory?.strays(in: UnsafeRawBufferPointer(rebasing: buffer.bytes[region]), from: nodes), found.pages > 0 else { continue }
      notes.append("\(found.pages) of \(found.asked) pages for nodes \(nodes) lie on others: these are full, or binding was refused")
    }
    return plan.placedMatrices(in: buffer)
  }
}
