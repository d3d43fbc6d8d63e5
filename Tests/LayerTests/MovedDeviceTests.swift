// Layers whose experts move between the CPU and OpenCL devices: what a layer made so computes, nothing uploaded twice, nothing kept.

import Dispatch
import MoE
import MoEReference
import Synchronization
import Testing

@Suite(.enabled(if: !OpenCLTests.devices.isEmpty, "there is no OpenCL device"))
struct MovedDeviceTests {
  /// A machine whose devices copy what they get, within `memoryLimit` bytes.
  static func machine(_ memoryLimit: Int? = nil, usesHostMemory: Bool = false, topology: Topology = .current()) throws -> Machine {
    try Machine(
      topology: topology, threads: 2,
      openCL: OpenCLOptions(memoryLimit: memoryLimit, usesHostMemory: usesHostMemory, programs: ProgramCache(folder: OpenCLTests.programs)))
  }

  /// Homes at random: a share of them on devices, the others on the CPU's nodes.
  private static func placement(_ experts: Int, _ share: Double, on topology: Topology, _ random: inout SeededRandom) -> Placement {
    let nodes = AdaptiveLayerTests.randomPlacement(experts, on: topology, &random)
    func home(_ node: Placement.Home) -> Placement.Home {
      .random(in: 0..<1, using: &random) < share ? .device(.random(in: 0..<JointLayerTests.devices, using: &random)) : node
    }
    return Placement(
      strategy: nodes.strategy, nodes: nodes.nodes, shares: nodes.shares, experts: nodes.experts.map(home), shared: home(nodes.shared!),
      machine: topology.fingerprint)
  }

  struct Kind: Sendable { let format: String, activations: ActivationPrecision }
  static let kinds = [Kind(format: "q8_0", activations: .int8), Kind(format: "bf16", activations: .float)]

  /// A chain of random placements, all and none on devices among them.
  @Test(arguments: kinds, [true, false])
  func movedLayersHaveTheBitsOfLayersMadeSo(_ kind: Kind, _ usesHostMemory: Bool) throws {
    var random = SeededRandom(seed: 31)
    let parts = try RandomLayer(kind.format, kind.activations)
    for topology in [Topology.current()] + PlacedLayerTests.topologies {
      let machine = try Self.machine(usesHostMemory: usesHostMemory, topology: topology)
      var layer = try parts.layer(on: machine, Self.placement(parts.experts, 0.5, on: topology, &random))
      let states = try [1, 40].map { try PlacedLayerTests.states($0, layer.hidden) }
      for share in [0.5, 0.2, 0, 0.5, 1, 0.7, 0.7, 0.3] {
        let placement = Self.placement(parts.experts, share, on: topology, &random)
        layer = try layer.moved(to: placement)
        #expect(layer.placement == placement)
        let made = try parts.layer(on: machine, placement)
        for states in states { #expect(try layer.bits(states) == made.bits(states), "\(placement)") }
        for (expert, home) in zip(layer.weights.experts.experts, placement.experts) {
          #expect(expert.matrices.allSatisfy { $0.layout == (home.isOnDevice ? .rows : .panels) })
        }
      }
    }
  }

  /// Weights of a mapped checkpoint: a layer that was made for the CPU alone has what it takes.
  @Test(arguments: ["qwen2_moe", "gpt_oss_mxfp4", "deepseek_v3_fp8"])
  func layersOfCheckpointsGoToDevices(_ name: String) throws {
    let fixture = try LayerFixture.named(name), states = try fixture.input().states, machine = OpenCLTests.machine, topology = machine.topology
    let model = try fixture.model(), block = try model.block(prefix: fixture.prefix()), plain = try MoELayer(model, block: block, on: machine)
    let there = JointLayerTests.mixed(plain.configuration.experts), here = JointLayerTests.placement(.init(repeating: nil, count: there.experts.count))
    let expected = try MoELayer(model, block: block, on: machine, placement: there).bits(states)
    let moved = try plain.moved(to: there)
    #expect(try moved.bits(states) == expected)
    #expect(try moved.moved(to: here).bits(states) == plain.bits(states))
    #expect(topology.nodes.count > 1 || moved.weights.residentBytes <= plain.weights.residentBytes)
  }

  /// Room for what lies there and for what comes, and not for a byte more.
  @Test func memoryIsCountedOnceAndGivenBack() throws {
    let parts = try RandomLayer("bf16", .float), states = try PlacedLayerTests.states(1, 1024)
    func placement(_ experts: Range<Int>) -> Placement { JointLayerTests.placement((0..<parts.experts).map { experts.contains($0) ? 0 : nil }) }
    // Rows of a call and tables of a layer take less than half of an expert.
    let bytes = parts.weights.experts.experts[0].matrices.reduce(0) { $0 + $1.publishedBytes }, limit = 5 * bytes + bytes / 2
    let machine = try Self.machine(limit)
    var layer = try parts.layer(on: machine, placement(0..<4))
    // One expert leaves and one comes, again and again: into the place of the one that left before.
    for first in [1, 2, 3, 4, 3, 2, 1, 0] {
      layer = try layer.moved(to: placement(first..<first + 4))
      #expect(try layer.bits(states) == parts.layer(on: OpenCLTests.machine, placement(first..<first + 4)).bits(states))
    }
    // Two more do not fit; the layer stays as it is.
    let before = try layer.bits(states)
    #expect { try layer.moved(to: placement(0..<6)) } throws: {
      if case MoEError.openCL(let error) = $0 { error.name == "CL_MEM_OBJECT_ALLOCATION_FAILURE" } else { false }
    }
    #expect(try layer.bits(states) == before)
    // All leave: others have the room.
    layer = try layer.moved(to: placement(0..<0))
    let other = try parts.layer(on: machine, placement(3..<8))
    #expect(try other.bits(states) == parts.layer(on: OpenCLTests.machine, placement(3..<8)).bits(states))
  }

  @Test func refusals() throws {
    let parts = try RandomLayer("bf16", .float), machine = OpenCLTests.machine, states = try PlacedLayerTests.states(2, 1024)
    // In memory, and packed for the CPU alone.
    let packed = try parts.layer(on: machine), there = JointLayerTests.mixed(parts.experts)
    #expect { try packed.moved(to: there) } throws: { if case MoEError.placement(.memory) = $0 { true } else { false } }
    let layer = try parts.layer(on: machine, there), before = try layer.bits(states)
    #expect { try layer.moved(to: JointLayerTests.placement([99] + .init(repeating: nil, count: parts.experts - 1))) } throws: {
      if case MoEError.placement(.unknownDevice(99, _)) = $0 { true } else { false }
    }
    #expect(throws: MoEError.self) { try layer.moved(to: JointLayerTests.placement([0])) }
    #expect(try layer.bits(states) == before)
  }

  /// Calls from several threads, of layers that move and of one that does not.
  @Test(arguments: [true, false])
  func callsGoOnWhileExpertsMove(_ usesHostMemory: Bool) throws {
    let machine = try Self.machine(usesHostMemory: usesHostMemory), parts = try RandomLayer("q8_0", .int8), states = try PlacedLayerTests.states(3, 1024)
    let placements = (0..<4).map { turn in JointLayerTests.placement((0..<parts.experts).map { ($0 + turn) % 4 < 2 ? nil : $0 % JointLayerTests.devices }) }
    let expected = Set(try placements.map { try parts.layer(on: machine, $0).bits(states) })
    let first = try parts.layer(on: machine, placements[0]), layers = try AdaptiveLayers([first], planner: nil), still = try first.bits(states)
    let moves = Atomic(0), wrong = Atomic(0), failures = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      do {
        if thread == 0 {
          for move in 1...16 {
            try layers.move(0, to: placements[move % 4])
            moves.add(1, ordering: .relaxed)
          }
        } else {
          repeat {
            let isRight = thread == 1 ? try first.bits(states) == still : try expected.contains(layers.bits(0, states))
            if !isRight { wrong.add(1, ordering: .relaxed) }
          } while moves.load(ordering: .relaxed) < 16 && failures.load(ordering: .relaxed) == 0
        }
      } catch { failures.add(1, ordering: .relaxed) }
    }
    #expect((wrong.load(ordering: .relaxed), failures.load(ordering: .relaxed)) == (0, 0))
  }

  /// A device that is made up and fast: the thread sends experts there that are called, also on a machine of one node.
  @Test func expertsFollowTheirLoadsToDevices() throws {
    let machine = OpenCLTests.machine, topology = machine.topology, parts = try RandomLayer("q8_0", .int8)
    let busy = (0..<parts.experts / 2).map { 2 * $0 }, first = JointLayerTests.placement((0..<parts.experts).map { $0 == 1 ? 0 : nil })
    let layer = try parts.layer(on: machine, first), states = try PlacedLayerTests.states(8, layer.hidden)
    let routing = try RouterOutput(
      experts: layer.configuration.router.experts, topK: busy.count, expertIDs: (0..<8 * busy.count).map { Int32(busy[$0 % busy.count]) },
      weights: .init(repeating: 0.5, count: 8 * busy.count))
    let device = ComputeDevice(
      kind: .gpu, name: "simulated", vendor: "", driverVersion: "", memoryBytes: 1 << 30, maxAllocationBytes: 1 << 30, computeUnits: 1,
      sharesMemoryWithHost: false, pciBusID: nil, platformIndex: 0, deviceIndex: 0)
    var speeds = AssumedSpeeds()
    (speeds.nodeBandwidth, speeds.coreProducts, speeds.deviceLatency) = (1e9, 1e9, 0)
    let planner = try Planner(MachineModel(topology, devices: [device], speeds: speeds))
    let layers = try AdaptiveLayers([layer], planner: planner, window: 32, horizon: 100_000)
    let end = ContinuousClock.now + .seconds(60)
    while layers[0].placement!.isAlike(first), ContinuousClock.now < end { _ = try layers.bits(0, states, routing: routing) }
    let placement = layers[0].placement!
    #expect(!placement.isAlike(first) && busy.contains { placement.experts[$0].isOnDevice } && layers.notes == [])
    #expect(try layers.bits(0, states, routing: routing) == parts.layer(on: machine, placement).bits(states, routing: routing))
  }
}

extension Placement.Home {
  fileprivate var isOnDevice: Bool { if case .device = self { true } else { false } }
}
