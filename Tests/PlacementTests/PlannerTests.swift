// Plans: predicted ratios, random machines, figures of time, bad input.

import Foundation
import MoEPlacement
import Testing

@Suite struct PlannerTests {
  static let oneExpert = LayerSizes(hidden: 64, intermediate: 64, topK: 1, expertBytes: [1000])
  static let sizes = LayerSizes(hidden: 2048, intermediate: 768, topK: 8, expertBytes: Array(repeating: 2_654_208, count: 128))

  struct Ratio: Sendable {
    var experts, topK, nodes: Int
    var ratio: Double
  }

  /// Whole experts against split ones at one token: the mean of the larger number of experts on a node over the even part.
  @Test(arguments: [
    Ratio(experts: 8, topK: 2, nodes: 2, ratio: 1.429), Ratio(experts: 64, topK: 6, nodes: 2, ratio: 1.297),
    Ratio(experts: 128, topK: 8, nodes: 2, ratio: 1.265), Ratio(experts: 256, topK: 8, nodes: 2, ratio: 1.269),
    Ratio(experts: 256, topK: 8, nodes: 4, ratio: 1.756),
  ])
  func wholeToSplit(_ case: Ratio) {
    let chance = Double(`case`.topK) / Double(`case`.experts)
    let nodes = (0..<`case`.nodes).map { _ in NodeLoad(chances: Array(repeating: chance, count: `case`.experts / `case`.nodes), seconds: 1) }
    let ratio = expectedMaximum(nodes, total: `case`.topK) / (Double(`case`.topK) / Double(`case`.nodes))
    #expect(abs(ratio - `case`.ratio) < 0.0006)
  }

  /// All choices of topK experts, weighted, one by one.
  @Test func expectedMaximumByEnumeration() {
    let chances = [0.9, 0.1, 0.3, 0.5, 0.2, 0.7, 0.25, 0.05], seconds = [1.0, 1.5], topK = 3
    var weight = 0.0, sum = 0.0
    for mask in 0..<1 << 8 where mask.nonzeroBitCount == topK {
      let odds = chances.indices.reduce(1.0) { $0 * (mask >> $1 & 1 == 1 ? chances[$1] / (1 - chances[$1]) : 1) }
      let time = max(Double((mask & 15).nonzeroBitCount) * seconds[0], Double((mask >> 4).nonzeroBitCount) * seconds[1])
      (weight, sum) = (weight + odds, sum + odds * time)
    }
    let nodes = [NodeLoad(chances: Array(chances[..<4]), seconds: 1), NodeLoad(chances: Array(chances[4...]), seconds: 1.5)]
    #expect(abs(expectedMaximum(nodes, total: topK) - sum / weight) < 1e-9)
    var apart = 0.0
    for mask in 0..<1 << 8 {
      let chance = chances.indices.reduce(1.0) { $0 * (mask >> $1 & 1 == 1 ? chances[$1] : 1 - chances[$1]) }
      apart += chance * max(Double((mask & 15).nonzeroBitCount), Double((mask >> 4).nonzeroBitCount) * 1.5)
    }
    #expect(abs(expectedMaximum(nodes, total: nil) - apart) < 1e-9)
  }

  #if Hwloc
  static func devices(_ count: Int, memory: Int) -> [ComputeDevice] {
    (0..<count).map {
      ComputeDevice(
        kind: .gpu, name: "simulated", vendor: "", driverVersion: "", memoryBytes: memory, maxAllocationBytes: memory, computeUnits: 1,
        sharesMemoryWithHost: false, pciBusID: "0000:81:00.0", platformIndex: 0, deviceIndex: $0)
    }
  }

  /// Loads of random popularity that sum to topK.
  static func loads(_ random: inout Draws, _ sizes: LayerSizes) -> [Double] {
    let raw = (0..<sizes.experts).map { _ in 0.05 + Double(random.below(1000)) / 1000 }, sum = raw.reduce(0, +)
    return raw.map { $0 / sum * Double(sizes.topK) }
  }

  @Test func randomMachines() throws {
    var random = Draws(seed: 17)
    for round in 0..<120 {
      let packages = 1 + random.below(4), inside = 1 + random.below(3), cores = 1 + random.below(6), memory = 1 + random.below(3)
      let cluster = random.below(4) == 0 ? "group:\(2 + random.below(3)) " : ""
      let topology = try Topology(synthetic: "\(cluster)pack:\(packages) numa:\(inside)(memory=\(memory)GB) core:\(cores) pu:\(1 + random.below(2))")
      let experts = 8 * (1 + random.below(8)), topK = 1 + random.below(min(8, experts))
      let sizes = LayerSizes(
        hidden: 256 * (1 + random.below(8)), intermediate: 256 * (1 + random.below(8)), topK: topK,
        expertBytes: (0..<experts).map { _ in 1 << (14 + random.below(10)) }, sharedBytes: random.below(2) * 1_000_000)
      let layers = 1 + random.below(3), loads = (0..<layers).map { _ in Self.loads(&random, sizes) }
      let model = try MachineModel(topology, devices: Self.devices(random.below(3), memory: 1 << (20 + random.below(10))))
      let budget = PlanningBudget(tokens: 1 << random.below(8)), planner = Planner(model)
      var strategies: [Placement.Strategy?] = [nil]
      if round % 4 == 0 { strategies += Placement.Strategy.allCases }
      for only in strategies {
        let plan: PlacementPlan
        do { plan = try planner.plan(sizes, loads: loads, budget: budget, only: only) } catch {
          switch error {
          case PlacementError.budget, PlacementError.strategies: continue
          default: throw error
          }
        }
        try Self.check(plan, topology, model, sizes, layers: layers)
        let again = try planner.plan(sizes, loads: loads, budget: budget, only: only)
        #expect(again == plan)
        let seconds = try planner.seconds(of: plan.placements, sizes, loads: loads, tokens: budget.tokens), chosen = try #require(plan.chosen.seconds)
        #expect(abs(seconds - chosen) <= 1e-6 * chosen + 1e-4 * seconds || plan.deviceBytes.contains { $0 > 0 })
      }
    }
  }

  /// Every expert has a home, memory suffices, nodes have cores.
  static func check(_ plan: PlacementPlan, _ topology: Topology, _ model: MachineModel, _ sizes: LayerSizes, layers: Int) throws {
    #expect(plan.placements.count == layers)
    for placement in plan.placements {
      try placement.check(on: topology, experts: sizes.experts, devices: 3)
      #expect((placement.shared == nil) == (sizes.sharedBytes == 0))
      #expect(!placement.why.isEmpty)
      for rows in [sizes.hidden, sizes.intermediate, sizes.hidden + 5, 3] {
        let parts = placement.holdings(of: .split, rows: rows)
        #expect(parts.count == placement.nodes.count + 1 && parts.flatMap { Array($0) } == Array(0..<rows))
        #expect(parts.allSatisfy { $0.upperBound == rows || $0.upperBound % Placement.rowStep == 0 })
      }
      #expect(try JSONDecoder().decode(Placement.self, from: JSONEncoder().encode(placement)) == placement)
      if placement.strategy == .mirror {
        for case .nodes(let copies) in placement.experts { #expect(copies == Array(placement.nodes.indices)) }
      }
    }
    for (node, bytes) in zip(plan.placements[0].places, plan.nodeBytes) { #expect(bytes <= topology.nodes.first { $0.osIndex == node }!.memoryBytes) }
    for (device, bytes) in zip(model.devices, plan.deviceBytes) { #expect(bytes <= device.memoryBytes) }
  }

  @Test func manyLayersInTime() throws {
    let topology = try Topology(synthetic: "pack:8 [numa(memory=512GB)] core:16 pu:1")
    let model = try MachineModel(topology, devices: Self.devices(8, memory: 80 << 30))
    let sizes = LayerSizes(hidden: 7168, intermediate: 2048, topK: 8, expertBytes: Array(repeating: 24_772_608, count: 256), sharedBytes: 24_772_608)
    var random = Draws(seed: 19)
    let loads = (0..<61).map { _ in Self.loads(&random, sizes) }
    let seconds = try ContinuousClock().measure {
      let plan = try Planner(model).plan(sizes, loads: loads, budget: PlanningBudget(deviceBytes: 16 << 30, tokens: 64))
      #expect(plan.placements.count == 61)
      #expect(plan.deviceBytes.allSatisfy { $0 > 0 && $0 <= 16 << 30 })
    } / .seconds(1)
    #expect(seconds < 1)
  }

  @Test(arguments: ["group:32 pack:2 numa:8 core:16 pu:1", "pack:512 [numa] core:16 pu:1"])
  func fiveHundredNodesInTime(_ text: String) throws {
    let seconds = try ContinuousClock().measure {
      let topology = try Topology(synthetic: text)
      #expect(topology.nodes.count == 512 && topology.processingUnits.count == 8192)
      let plan = try Planner(MachineModel(topology)).plan(Self.sizes, loads: [Array(repeating: 8.0 / 128, count: 128)])
      // Parts of an expert would have less than the rows that lie together.
      #expect(plan.predictions.first { $0.strategy == .split }?.obstacle != nil)
      #expect(plan.placements[0].why.count > 1)
    } / .seconds(1)
    #expect(seconds < 10)
  }

  /// Firmware may state anything: no speed makes planning trap.
  @Test func absurdSpeeds() throws {
    for bandwidth in [1e-3, 1e30] {
      var model = try MachineModel(Topology(synthetic: "pack:3 [numa(memory=64GB)] core:4 pu:1"))
      model.nodes[1].bandwidth = bandwidth
      for tokens in [1, 64] {
        let plan = try Planner(model).plan(Self.sizes, loads: [Array(repeating: 8.0 / 128, count: 128)], budget: PlanningBudget(tokens: tokens))
        #expect(plan.chosen.seconds.map(\.isFinite) == true)
        #expect(plan.placements[0].shares.allSatisfy { $0 >= 1 })
      }
    }
  }

  @Test func oneNodeIsIsolated() throws {
    let topology = try Topology(synthetic: "pack:1 [numa(memory=64GB)] core:4 pu:1")
    let plan = try Planner(MachineModel(topology)).plan(Self.sizes, loads: [Array(repeating: 0, count: 128)])
    #expect(plan.placements[0].strategy == .isolate)
    #expect(plan.placements[0].experts.allSatisfy { $0 == .nodes([0]) })
  }

  @Test func slowLinksKeepExpertsWhole() throws {
    let topology = try Topology(synthetic: "group:2 [numa(memory=64GB)] core:16 pu:1")
    var speeds = AssumedSpeeds()
    speeds.machineLink = 1e9
    speeds.machineLatency = 1e-6
    let sizes = LayerSizes(hidden: 512, intermediate: 4096, topK: 2, expertBytes: Array(repeating: 4_000_000, count: 16), activationBytes: 4)
    let plan = try Planner(MachineModel(topology, speeds: speeds)).plan(
      sizes, loads: [Array(repeating: 2.0 / 16, count: 16)], budget: PlanningBudget(hostBytes: 80_000_000, tokens: 64))
    #expect(plan.placements[0].strategy == .wholeExperts)
    #expect(plan.predictions.first { $0.strategy == .interleave }?.obstacle != nil)
    #expect(plan.predictions.first { $0.strategy == .mirror }?.obstacle != nil)
  }

  /// Drift of the loads moves few experts, noise none, and a change that does not pay is not made.
  @Test func migration() throws {
    let topology = try Topology(synthetic: "pack:4 [numa(memory=64GB)] core:8 pu:1"), planner = try Planner(MachineModel(topology))
    var random = Draws(seed: 23)
    let loads = Self.loads(&random, Self.sizes), budget = PlanningBudget(tokens: 256)
    let first = try planner.plan(Self.sizes, loads: [loads], budget: budget, only: .wholeExperts)
    let same = try planner.plan(Self.sizes, loads: [loads], budget: budget, after: first.placements, only: .wholeExperts)
    #expect(try Migration(from: first.placements[0], to: same.placements[0], expertBytes: Self.sizes.expertBytes).moves.isEmpty)
    var drifted = loads
    drifted.swapAt(3, 77)
    drifted[5] *= 1.3
    let fresh = try planner.plan(Self.sizes, loads: [drifted], budget: budget, only: .wholeExperts)
    let next = try planner.plan(Self.sizes, loads: [drifted], budget: budget, after: first.placements, only: .wholeExperts)
    let far = try Migration(from: first.placements[0], to: fresh.placements[0], expertBytes: Self.sizes.expertBytes)
    let near = try Migration(from: first.placements[0], to: next.placements[0], expertBytes: Self.sizes.expertBytes)
    #expect(near.moves.count * 2 < far.moves.count)
    #expect(Migration.pays(gain: 1e-3, horizon: 100, bytes: 1_000_000, bandwidth: 1e9))
    #expect(!Migration.pays(gain: 1e-3, horizon: 100, bytes: 200_000_000, bandwidth: 1e9))
    // From whole experts on a machine whose best is to split them: over many steps, not over one.
    #expect(try planner.replanned(first.placements, Self.sizes, loads: [loads], horizon: 1) == nil)
    #expect(try planner.replanned(first.placements, Self.sizes, loads: [loads], horizon: 1_000_000)?.placements[0].strategy == .split)
  }

  /// Whole experts planned for even loads, then loads that sit on one node: one proposal, and none once it is adopted.
  @Test func adaptation() throws {
    let topology = try Topology(synthetic: "pack:2 [numa(memory=64GB)] core:8 pu:1"), planner = try Planner(MachineModel(topology))
    let even = [Array(repeating: 8.0 / 128, count: 128)]
    let placements = try planner.plan(Self.sizes, loads: even, only: .wholeExperts).placements
    let statistics = try LoadStatistics(layers: 1, experts: 128, window: 64, weight: 1)
    var adaptation = try Adaptation(planner, Self.sizes, placements: placements, statistics: statistics, horizon: 1000)
    let busy = placements[0].experts.map { $0 == .nodes([0]) }, share = busy.count { $0 }
    #expect(share == 64)
    var offsets = [0]
    for isBusy in busy { offsets.append(offsets.last! + (isBusy ? 4 : 0)) }
    #expect(try adaptation.proposal() == nil)
    adaptation.record(layer: 0, offsets: offsets, tokens: 32)
    #expect(try adaptation.proposal() == nil)
    adaptation.record(layer: 0, offsets: offsets, tokens: 32)
    let plan = try #require(try adaptation.proposal())
    #expect(try planner.seconds(of: plan.placements, Self.sizes, loads: adaptation.statistics.loads, tokens: 32)
      < planner.seconds(of: placements, Self.sizes, loads: adaptation.statistics.loads, tokens: 32))
    #expect(try adaptation.proposal() == nil)
    var tired = adaptation
    adaptation.adopt(plan.placements[0], layer: 0)
    for _ in 0..<4 { adaptation.record(layer: 0, offsets: offsets, tokens: 32) }
    #expect(try adaptation.proposal() == nil)
    // One that could not be followed is proposed again, after the horizon.
    tired.rest()
    for _ in 0..<1000 {
      tired.record(layer: 0, offsets: offsets, tokens: 64, calls: 2)
      #expect(try tired.proposal() == nil)
    }
    tired.record(layer: 0, offsets: offsets, tokens: 64, calls: 2)
    #expect(try tired.proposal() != nil)
    #expect(throws: PlacementError.self) {
      try Adaptation(planner, Self.sizes, placements: placements + placements, statistics: statistics)
    }
  }

  @Test func gpuUnderNodeOne() throws {
    let topology = try TopologyTests.fixture("two-nodes-gpu.xml"), model = try MachineModel(topology, devices: Self.devices(1, memory: 80 << 30))
    #expect(topology.node(near: Self.devices(1, memory: 1)[0]) == 1)
    #expect(model.devices[0].node == 1)
    #expect(model.nodes.map(\.bandwidth) == [209_808.0 * 0x1p20, 209_808.0 * 0x1p20])
    #expect(model.remoteBandwidth == 119_209.0 * 0x1p20)
  }

  @Test func refusals() throws {
    let topology = try Topology(synthetic: "pack:2 [numa(memory=1GB)] core:2 pu:1"), planner = try Planner(MachineModel(topology))
    let loads = [Array(repeating: 8.0 / 128, count: 128)], bytes = Self.sizes.bytes
    #expect(throws: PlacementError.budget(needed: bytes, available: bytes - 1)) {
      try planner.plan(Self.sizes, loads: loads, budget: PlanningBudget(hostBytes: bytes - 1))
    }
    #expect(throws: PlacementError.self) { try planner.plan(Self.sizes, loads: Array(repeating: loads[0], count: 100)) }
    let cluster = try Planner(MachineModel(Topology(synthetic: "group:2 [numa(memory=1GB)] core:2 pu:1")))
    #expect(throws: PlacementError.strategies(["interleave: machines do not share memory"])) {
      try cluster.plan(Self.sizes, loads: loads, only: .interleave)
    }
    var speeds = AssumedSpeeds()
    speeds.machineLink = 0
    #expect(throws: PlacementError.speeds(speeds)) { try MachineModel(topology, speeds: speeds) }
    #expect(throws: PlacementError.noNode) { try MachineModel(Topology(synthetic: "pack:1 [numa(memory=0)] core:2 pu:1")) }
    #expect(throws: PlacementError.self) { try planner.plan(Self.sizes, loads: [[1, 2, 3]]) }
    #expect(throws: PlacementError.self) { try planner.plan(Self.sizes, loads: [Array(repeating: .infinity, count: 128)]) }
    #expect(throws: PlacementError.self) { try planner.plan(Self.sizes, loads: []) }
    #expect(throws: PlacementError.self) { try planner.plan(Self.sizes, loads: loads, budget: PlanningBudget(tokens: 0)) }
    let changes: [(inout LayerSizes) -> Void] = [
      { $0.topK = 129 }, { $0.expertBytes = [] }, { $0.hidden = 0 }, { $0.groups = 7 }, { $0.sharedBytes = -1 }, { $0.rowMultiple = 0 },
    ]
    for change in changes {
      var sizes = Self.sizes
      change(&sizes)
      #expect(throws: PlacementError.self) { try planner.plan(sizes, loads: loads) }
    }
    let placement = try planner.plan(Self.sizes, loads: loads).placements[0]
    let other = try Topology(synthetic: "pack:2 [numa(memory=1GB)] core:3 pu:1")
    #expect(throws: PlacementError.otherMachine(planned: topology.fingerprint, found: other.fingerprint)) {
      try placement.check(on: other, experts: 128)
    }
    #expect(throws: PlacementError.experts(planned: 128, layer: 64)) { try placement.check(on: topology, experts: 64) }
    func with(nodes: [Int] = [0, 1], shares: [Int] = [1, 1], home: Placement.Home) -> Placement {
      Placement(strategy: .split, nodes: nodes, shares: shares, experts: [home], machine: topology.fingerprint)
    }
    for broken in [
      with(nodes: [], shares: [], home: .split), with(nodes: [1, 0], home: .split), with(nodes: [0, 7], home: .split),
      with(shares: [1], home: .split), with(shares: [0, 1], home: .split), with(shares: [1 << 30, 1], home: .split), with(home: .nodes([])), with(home: .nodes([2])),
      with(home: .nodes([1, 1])), with(home: .device(0)), with(home: .device(-1)),
    ] {
      #expect(throws: PlacementError.self) { try broken.check(on: topology, experts: 1) }
      if case .device = broken.experts[0] { continue }
      #expect(throws: PlacementError.self) { try planner.seconds(of: [broken], Self.oneExpert, loads: [[1]], tokens: 1) }
    }
    try with(home: .split).check(on: topology, experts: 1)
  }
  #endif

  @Test func statistics() throws {
    var statistics = try LoadStatistics(layers: 2, experts: 3, window: 4, weight: 0.5)
    statistics.record(layer: 1, offsets: [0, 2, 2, 3], tokens: 3)
    #expect(statistics.loads[1] == [0, 0, 0])
    statistics.record(layer: 1, offsets: [0, 0, 0, 1], tokens: 1)
    #expect(statistics.loads == [[0, 0, 0], [0.5, 0, 0.5]])
    statistics.record(layer: 1, offsets: [0, 4, 4, 4], tokens: 4)
    #expect(statistics.loads[1] == [0.75, 0, 0.25])
    statistics.record(layer: 0, offsets: [0, 1, 1, 1], tokens: 2)
    statistics.flush()
    #expect(statistics.loads[0] == [0.5, 0, 0])
    #expect(throws: PlacementError.self) { try LoadStatistics(layers: 0, experts: 1) }
    #expect(throws: PlacementError.self) { try LoadStatistics(layers: 1, experts: 1, weight: .nan) }
  }
}
