// Memory of nodes without cores in plans: whose it is, how fast, what lies there.

import Foundation
import MoEPlacement
import Testing

#if Hwloc
@Suite struct MemoryNodeTests {
  private static let sizes = PlannerTests.sizes
  private static let loads = (0..<128).map { 0.02 + Double($0 * 37 % 128) / 1600 }

  /// The capture of two nodes with DRAM and HBM, with other words in it.
  private static func capture(kind: String = "HBM", statesSpeed: Bool = true, memory: Int = 16_000_000_000) throws -> Topology {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    var text = try String(contentsOf: folder.appendingPathComponent("Fixtures/topologies/two-nodes-hbm.xml"), encoding: .utf8)
    text = text.replacingOccurrences(of: "subtype=\"HBM\" local_memory=\"16000000000\"", with: "subtype=\"\(kind)\" local_memory=\"\(memory)\"")
    if !statesSpeed { text = text.split(separator: "\n").filter { !$0.contains("memattr") }.joined(separator: "\n") }
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("moe-topology-\(UUID().uuidString).xml")
    try text.write(to: file, atomically: true, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    return try Topology(xmlPath: file.path)
  }

  @Test func statedSpeeds() throws {
    let topology = try Self.capture(), model = try MachineModel(topology)
    #expect(model.nodes.map(\.osIndex) == [0, 2])
    #expect(model.memories.map(\.osIndex) == [1, 3] && model.memories.map(\.node) == [0, 1])
    #expect(model.memories.map(\.bandwidth) == [762_939.0 * 0x1p20, 762_939.0 * 0x1p20])
    #expect(model.notes.count == 2 && model.notes.allSatisfy { $0.contains("800 GB/s stated") })
    #expect(topology.nodes.indices.map(topology.reader) == [nil, 0, nil, 2])
  }

  @Test(arguments: [("HBM", 326), ("NVM", 39), ("CXL-DRAM", 32), ("CXL-NVM", 32), ("SPM", 57)])
  func assumedSpeeds(_ kind: String, _ bandwidth: Int) throws {
    let model = try MachineModel(Self.capture(kind: kind, statesSpeed: false))
    #expect(model.memories.map { Int(($0.bandwidth / 1e9).rounded()) } == [bandwidth, bandwidth])
  }

  @Test func leftOut() throws {
    #expect(try MachineModel(Self.capture(kind: "GPUMemory")).memories.isEmpty)
    #expect(try MachineModel(Topology(synthetic: "pack:2 [numa] [numa] core:2 pu:1")).memories.isEmpty)
    var speeds = AssumedSpeeds()
    speeds.expanderBandwidth = 0
    #expect(throws: PlacementError.speeds(speeds)) { try MachineModel(Self.capture(), speeds: speeds) }
  }

  /// What each node has in its faster memory is used as often as anything in its slower one, which has what does not fit.
  @Test(arguments: Placement.Strategy.allCases.filter { $0 != .interleave })
  func theHottestLieInHBM(_ strategy: Placement.Strategy) throws {
    let layer = Self.sizes.bytes, room = strategy == .isolate || strategy == .mirror ? layer / 3 : layer / 6
    let planner = try Planner(MachineModel(Self.capture(memory: room)))
    let plan = try planner.plan(Self.sizes, loads: [Self.loads], only: strategy), placement = plan.placements[0]
    let fast = placement.nodes.count..<placement.places.count
    #expect(placement.memories.map(\.osIndex) == (strategy == .isolate ? [1] : [1, 3]))
    #expect(fast.allSatisfy { plan.nodeBytes[$0] > room * 9 / 10 && plan.nodeBytes[$0] <= room })
    for node in placement.nodes.indices {
      func loads(isFast: Bool) -> [Double] {
        zip(placement.experts, Self.loads).compactMap { home, load in
          let places = switch home { case .nodes(let places), .parts(let places): places; default: Array(placement.nodes.indices) }
          return places.contains { placement.node(of: $0) == node && fast.contains($0) == isFast } ? load : nil
        }
      }
      #expect(loads(isFast: true).min()! >= loads(isFast: false).max()!)
    }
    let seconds = try planner.seconds(of: [placement], Self.sizes, loads: [Self.loads], tokens: 1)
    #expect(abs(seconds / plan.chosen.seconds! - 1) < 1e-3)
    var alone = planner.machine
    alone.memories = []
    #expect(try seconds < Planner(alone).plan(Self.sizes, loads: [Self.loads], only: strategy).chosen.seconds!)
    #expect(placement.why.contains { $0.contains("on node 1") })
  }

  @Test func slowMemoryIsForWhatDoesNotFit() throws {
    let topology = try Self.capture(kind: "CXL-DRAM", statesSpeed: false)
    var model = try MachineModel(topology)
    let roomy = try Planner(model).plan(Self.sizes, loads: [Self.loads])
    #expect(roomy.placements[0].memories.isEmpty)
    for node in model.nodes.indices { model.nodes[node].memoryBytes = Self.sizes.bytes / 3 }
    for strategy in [Placement.Strategy.split, .wholeExperts] {
      let plan = try Planner(model).plan(Self.sizes, loads: [Self.loads], only: strategy)
      #expect(plan.placements[0].memories.map(\.osIndex) == [1, 3])
      for node in model.nodes.indices {
        #expect(plan.nodeBytes[node] <= model.nodes[node].memoryBytes)
        #expect(plan.nodeBytes[node] + Self.sizes.expertBytes[0] > model.nodes[node].memoryBytes)
      }
    }
    // From roomy to tight, only what leaves the nodes' own memory is copied.
    let tight = try Planner(model).plan(Self.sizes, loads: [Self.loads], only: .split)
    let split = try Planner(MachineModel(topology)).plan(Self.sizes, loads: [Self.loads], only: .split)
    let moved = try Migration(from: split.placements[0], to: tight.placements[0], expertBytes: Self.sizes.expertBytes)
    #expect(!moved.moves.isEmpty && moved.moves.allSatisfy { $0.place! >= 2 })
    #expect(abs(Double(moved.bytes) / Double(tight.nodeBytes[2] + tight.nodeBytes[3]) - 1) < 1e-3)
  }

  @Test func randomMachines() throws {
    var random = Draws(seed: 29), planned = 0
    for round in 0..<120 {
      let packages = 1 + random.below(4), memory = 1 + random.below(40)
      let topology = try Topology(
        synthetic: "pack:\(packages) [numa(memory=\(64 << 20))] [numa(memory=\(memory << 20))] core:\(1 + random.below(4)) pu:1")
      var model = try MachineModel(topology)
      #expect(model.nodes.count == packages && model.memories.map(\.node) == Array(0..<packages))
      for index in model.memories.indices { model.memories[index].bandwidth = [20e9, 100e9, 700e9][random.below(3)] }
      if random.below(3) == 0 { model.memories.removeFirst() }
      let experts = 8 * (1 + random.below(8)), topK = 1 + random.below(min(8, experts))
      let sizes = LayerSizes(
        hidden: 256 * (1 + random.below(8)), intermediate: 256 * (1 + random.below(8)), topK: topK,
        expertBytes: (0..<experts).map { _ in 1 << (14 + random.below(8)) }, sharedBytes: random.below(2) * 1_000_000)
      let layers = 1 + random.below(3), loads = (0..<layers).map { _ in PlannerTests.loads(&random, sizes) }
      let budget = PlanningBudget(tokens: 1 << random.below(8)), planner = Planner(model)
      for only in [nil] + Placement.Strategy.allCases.map(Optional.some) {
        let plan: PlacementPlan
        do { plan = try planner.plan(sizes, loads: loads, budget: budget, only: only) } catch {
          switch error {
          case PlacementError.budget, PlacementError.strategies: continue
          default: throw error
          }
        }
        planned += 1
        for placement in plan.placements {
          try placement.check(on: topology, experts: experts)
          #expect(try JSONDecoder().decode(Placement.self, from: JSONEncoder().encode(placement)) == placement)
          for home in placement.experts + [placement.shared].compactMap({ $0 }) {
            let held = placement.holdings(of: home, rows: 257), bounds = placement.bounds(of: home, rows: 257)
            #expect(held.count == placement.places.count + 1 && Set(held.joined()) == Set(0..<257))
            // Every node has in its places what it computes.
            for node in placement.nodes.indices where bounds[node] < bounds[node + 1] && home != .interleaved {
              let own = placement.places.indices.filter { placement.node(of: $0) == node && !held[$0].isEmpty }
              #expect(own.count == 1 && held[own[0]].contains(bounds[node]) && held[own[0]].contains(bounds[node + 1] - 1))
            }
          }
        }
        for (place, bytes) in zip(plan.placements[0].places, plan.nodeBytes) {
          #expect(bytes <= topology.nodes.first { $0.osIndex == place }!.memoryBytes)
        }
        #expect(plan.nodeBytes.reduce(0, +) >= (sizes.bytes - 1) * layers)
        #expect(try planner.plan(sizes, loads: loads, budget: budget, only: only) == plan)
        let seconds = try planner.seconds(of: plan.placements, sizes, loads: loads, tokens: budget.tokens), chosen = try #require(plan.chosen.seconds)
        #expect(abs(seconds - chosen) <= 1e-6 * chosen + 1e-4 * seconds, "round \(round)")
        let same = try planner.plan(sizes, loads: loads, budget: budget, after: plan.placements, only: only)
        for (old, new) in zip(plan.placements, same.placements) {
          #expect(try Migration(from: old, to: new, expertBytes: sizes.expertBytes).moves.isEmpty)
        }
      }
    }
    #expect(planned > 300)
  }

  @Test func refusals() throws {
    let topology = try Self.capture(), planner = try Planner(MachineModel(topology))
    func placement(_ memories: [Placement.Memory], _ home: Placement.Home) -> Placement {
      Placement(strategy: .split, nodes: [0, 2], memories: memories, shares: [1, 1], experts: [home], machine: topology.fingerprint)
    }
    func memory(_ osIndex: Int, _ node: Int) -> Placement.Memory { Placement.Memory(osIndex: osIndex, node: node) }
    let both = [memory(1, 0), memory(3, 1)]
    for home in [Placement.Home.split, .nodes([0, 3]), .nodes([2, 3]), .nodes([2]), .parts([2, 1]), .parts([2, 3]), .parts([0, 1])] {
      try placement(both, home).check(on: topology, experts: 1)
    }
    for broken in [
      placement([memory(3, 1), memory(1, 0)], .split), placement([memory(1, 2)], .split), placement([memory(1, -1)], .split),
      placement([memory(2, 0)], .split), placement([memory(7, 0)], .split), placement(both, .nodes([0, 2])), placement(both, .nodes([4])),
      placement(both, .nodes([])), placement(both, .parts([0])), placement(both, .parts([1, 0])), placement(both, .parts([2, 2])),
      placement(both, .parts([2, 4])), placement(both, .parts([-1, 1])), placement([], .parts([0, 2])),
    ] {
      #expect(throws: PlacementError.self) { try broken.check(on: topology, experts: 1) }
      #expect(throws: PlacementError.self) { try planner.seconds(of: [broken], PlannerTests.oneExpert, loads: [[1]], tokens: 1) }
    }
    #expect(throws: PlacementError.memories([memory(1, 1)])) {
      try planner.seconds(of: [placement([memory(1, 1)], .split)], PlannerTests.oneExpert, loads: [[1]], tokens: 1)
    }
  }

  /// Files from before placements had memories.
  @Test func olderFiles() throws {
    let text = """
      {"strategy": "whole-experts", "nodes": [0, 2], "shares": [1, 2], "experts": [{"nodes": {"_0": [1]}}, {"split": {}}, {"interleaved": {}}],
       "machine": "abc", "why": []}
      """
    let placement = try JSONDecoder().decode(Placement.self, from: Data(text.utf8))
    #expect(placement == Placement(
      strategy: .wholeExperts, nodes: [0, 2], shares: [1, 2], experts: [.nodes([1]), .split, .interleaved], machine: "abc"))
    #expect(placement.places == [0, 2])
  }
}
#endif
