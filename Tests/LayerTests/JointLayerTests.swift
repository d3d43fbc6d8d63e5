// Layers on the CPU and on OpenCL devices at the same time: what either computes alone, the same bits in every call and batch.

import Dispatch
import MoE
import MoEReference
import Synchronization
import Testing

@Suite(.enabled(if: !OpenCLTests.devices.isEmpty, "there is no OpenCL device"))
struct JointLayerTests {
  static let devices = OpenCLTests.devices.count

  /// A placement of one node with these homes of experts, and of the shared one.
  static func placement(_ homes: [Int?], shared: Int? = nil, on topology: Topology = OpenCLTests.machine.topology) -> Placement {
    func home(_ device: Int?) -> Placement.Home { device.map { .device($0) } ?? .interleaved }
    return Placement(
      strategy: .interleave, nodes: topology.nodes.map(\.osIndex), shares: topology.nodes.map { _ in 1 }, experts: homes.map(home),
      shared: home(shared), machine: topology.fingerprint)
  }

  /// Every second and third expert on a device, and the shared one or not.
  static func mixed(_ experts: Int, shared: Bool = true, on topology: Topology = OpenCLTests.machine.topology) -> Placement {
    placement((0..<experts).map { $0 % 3 == 0 ? nil : $0 % devices }, shared: shared ? devices - 1 : nil, on: topology)
  }

  static func layer(_ fixture: LayerFixture, shared: Bool = true, on machine: Machine = OpenCLTests.machine) throws -> MoELayer {
    let model = try fixture.model(), block = try model.block(prefix: fixture.prefix()), weights = try model.weights(of: block)
    return try MoELayer(model, block: block, on: machine, placement: mixed(weights.experts.count, shared: shared, on: machine.topology))
  }

  struct Kind: Sendable { let format: String, activations: ActivationPrecision, width: Int }

  /// 1200 plans: homes of a layer's experts at random, all on the CPU and all on devices among them, batches and assignments at random.
  @Test(arguments: [Kind(format: "f32", activations: .float, width: 72), Kind(format: "q8_0", activations: .int8, width: 64)])
  func randomPlans(_ kind: Kind) throws {
    var random = SeededRandom(seed: 29)
    let parts = try RandomLayer(kind.format, kind.activations, hidden: kind.width, intermediate: 32), machine = OpenCLTests.machine
    let onCPU = try parts.layer(on: machine), float = try RandomLayer(kind.format, .float, hidden: kind.width, intermediate: 32)
    let onDevice = try MoELayer(
      configuration: parts.configuration, weights: parts.weights, on: machine, device: .openCL(0), activations: kind.activations)
    let reference = try float.layer(on: machine)
    var noise = 0.0, power = 0.0, difference = 0.0
    for round in 0..<120 {
      let share = [0, 0.1, 0.5, 0.9, 1][round % 5]
      func home() -> Int? { .random(in: 0..<1, using: &random) < share ? .random(in: 0..<Self.devices, using: &random) : nil }
      let homes = (0..<parts.experts).map { _ in home() }, shared = home()
      let layer = try parts.layer(on: machine, Self.placement(homes, shared: shared))
      for _ in 0..<5 {
        let tokens = [1, 1, 2, 5, 17, 70].randomElement(using: &random)!, states = try Self.states(tokens, layer.hidden, &random)
        let routing = try Self.routing(tokens, parts.experts, &random), found = try layer.bits(states, routing: routing)
        let plan = "\(homes), \(String(describing: shared)), \(tokens) tokens", expected = try reference.bits(states, routing: routing)
        let cpu = try onCPU.bits(states, routing: routing)
        if shared == nil {
          for token in 0..<tokens where routing.assignments(of: token).allSatisfy({ homes[$0.expert] == nil }) {
            #expect(found[token] == cpu[token], "\(plan): token \(token) is the CPU's")
          }
        }
        if kind.activations == .float {
          #expect(Self.isClose(found, expected), "\(plan)")
        } else {
          // One token of a small layer may be several times as noisy as the average.
          let squares = Self.squares(found, expected)
          #expect(squares.noise <= 3e-3 * squares.power, "\(plan)")
          (noise, power) = (noise + squares.noise, power + squares.power)
          difference += Self.squares(found, try onDevice.bits(states, routing: routing)).noise
        }
        if kind.activations == .float, round % 5 == 4 { #expect(Self.isClose(found, try onDevice.bits(states, routing: routing)), "\(plan)") }
      }
    }
    #expect(noise <= 3e-4 * power)
    // CPU and device round alike, but for few codes that the last bit of a nonlinearity changes.
    #expect(onDevice.activations == kind.activations && difference <= 1e-6 * power)
  }

  static func states(_ tokens: Int, _ hidden: Int, _ random: inout SeededRandom) throws -> HiddenStates {
    try HiddenStates(random.floats(tokens * hidden, in: -1...1), tokens: tokens, hidden: hidden)
  }

  /// Some experts for each token, none for a few.
  static func routing(_ tokens: Int, _ experts: Int, _ random: inout SeededRandom) throws -> RouterOutput {
    var offsets = [0], ids: [Int32] = []
    for _ in 0..<tokens {
      ids += (0..<Int32(experts)).shuffled(using: &random).prefix(.random(in: 0...min(4, experts), using: &random))
      offsets.append(ids.count)
    }
    return try RouterOutput(experts: experts, offsets: offsets, expertIDs: ids, weights: random.floats(ids.count, in: 0...1))
  }

  private static func pairs(_ found: [[UInt32]], _ expected: [[UInt32]]) -> [(Double, Double)] {
    zip(found.joined(), expected.joined()).map { (Double(Float(bitPattern: $0)), Double(Float(bitPattern: $1))) }
  }

  /// Whether values on f32 activations are within the bound of docs/measuring.md.
  static func isClose(_ found: [[UInt32]], _ expected: [[UInt32]]) -> Bool {
    let pairs = pairs(found, expected), largest = pairs.map { abs($0.1) }.max() ?? 0
    return pairs.allSatisfy { abs($0 - $1) <= 2e-5 * largest }
  }

  /// Sums of squares of the errors, and of what is expected.
  private static func squares(_ found: [[UInt32]], _ expected: [[UInt32]]) -> (noise: Double, power: Double) {
    pairs(found, expected).reduce((0, 0)) { ($0.0 + ($1.0 - $1.1) * ($1.0 - $1.1), $0.1 + $1.1 * $1.1) }
  }

  @Test(arguments: LayerFixture.all, [true, false])
  func fixturesComputeWhatTheCPUDoes(_ fixture: LayerFixture, _ shared: Bool) throws {
    let (states, sequences) = try fixture.input(), layer = try Self.layer(fixture, shared: shared)
    func floats(_ layer: MoELayer) throws -> [Float] { try layer.bits(states, sequences: sequences).flatMap { $0.map(Float.init(bitPattern:)) } }
    let expected = try floats(fixture.layer()), found = try floats(layer), largest = expected.map(abs).max() ?? 0
    #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= 64 * Float.ulpOfOne * largest })
    guard layer.isPerToken else { return }
    let whole = try layer.bits(states)
    for token in 0..<min(3, states.tokens) { #expect(try layer.bits(states.rows([token])) == [whole[token]], "token \(token) alone") }
    let many = (0..<150).map { $0 * 7 % states.tokens }
    #expect(try layer.bits(states.rows(many)) == many.map { whole[$0] })
  }

  @Test(arguments: ["q8_0", "bf16"])
  func threadsAndNodesDoNotMatter(_ format: String) throws {
    let parts = try RandomLayer(format, format == "q8_0" ? .int8 : .float), states = try PlacedLayerTests.states(90, 1024)
    let expected = try parts.layer(on: OpenCLTests.machine, Self.mixed(parts.experts)).bits(states)
    for topology in [OpenCLTests.machine.topology] + PlacedLayerTests.topologies {
      for threads in [1, 2, 5] {
        let machine = try Machine(topology: topology, threads: threads, openCL: OpenCLOptions(programs: ProgramCache(folder: OpenCLTests.programs)))
        for strategy in Placement.Strategy.allCases {
          let nodes = PlacedLayerTests.placement(strategy, parts.experts, on: topology), joint = Self.mixed(parts.experts, on: topology)
          let homes = zip(joint.experts, nodes.experts).map { if case .device = $0 { $0 } else { $1 } }
          let layer = try parts.layer(
            on: machine,
            Placement(
              strategy: strategy, nodes: nodes.nodes, shares: nodes.shares, experts: homes, shared: joint.shared, machine: topology.fingerprint))
          #expect(try layer.bits(states) == expected, "\(topology.nodes.count) nodes, \(threads) threads, \(strategy)")
        }
      }
    }
  }

  @Test(arguments: ["qwen3_moe", "qwen2_moe_all", "longcat_flash_all", "llama4"])
  func theStagesOneByOneAreTheLayer(_ name: String) throws {
    let fixture = try LayerFixture.named(name), states = try fixture.input().states, layer = try Self.layer(fixture)
    var weights = layer.weights
    weights.shared = nil
    let alone = try layer.replacing(weights), plan = try alone.plan(alone.route(states))
    let combined = try alone.combine(plan, alone.down(plan, alone.gateUp(plan, states)), states)
    #expect(combined.values.map(\.bitPattern) == (try alone.bits(states).flatMap { $0 }))
  }

  @Test func callersMayShareTheDevices() throws {
    let fixture = try LayerFixture.named("qwen2_moe_all"), (states, sequences) = try fixture.input(), layer = try Self.layer(fixture)
    let expected = try layer.bits(states, sequences: sequences), wrong = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 16) { _ in
      if (try? layer.bits(states, sequences: sequences)) != expected { wrong.add(1, ordering: .relaxed) }
    }
    #expect(wrong.load(ordering: .relaxed) == 0)
  }

  /// A workspace that layers on other devices use in between.
  @Test func layersShareAWorkspace() throws {
    let fixture = try LayerFixture.named("qwen2_moe"), states = try fixture.input().states, workspace = Workspace()
    let layers = try [Self.layer(fixture), fixture.layer(), fixture.layer(on: OpenCLTests.machine, device: .openCL(0)), Self.layer(fixture, shared: false)]
    let expected = try layers.map { try $0.bits(states) }
    for _ in 0..<3 { #expect(try layers.map { try $0.bits(states, workspace: workspace) } == expected) }
    try workspace.releaseMemory()
    #expect(try layers[0].bits(states, workspace: workspace) == expected[0])
  }

  /// The planner's device has memory of its own; it is computed on by its place in the list.
  @Test func aPlanIsExecutedAsItIs() throws {
    let machine = OpenCLTests.machine, parts = try RandomLayer("bf16", .float), states = try PlacedLayerTests.states(20, 1024)
    let device = ComputeDevice(
      kind: .gpu, name: "simulated", vendor: "", driverVersion: "", memoryBytes: 1 << 30, maxAllocationBytes: 1 << 30, computeUnits: 1,
      sharesMemoryWithHost: false, pciBusID: nil, platformIndex: 0, deviceIndex: 0)
    let sizes = LayerSizes(
      hidden: 1024, intermediate: 256, topK: 4, expertBytes: parts.weights.experts.experts.map(\.residentBytes),
      sharedBytes: parts.weights.shared!.residentBytes, activationBytes: 4)
    var speeds = AssumedSpeeds()
    speeds.deviceBandwidth = 2 * speeds.nodeBandwidth
    speeds.deviceLatency = 0
    let planner = try Planner(MachineModel(machine.topology, devices: [device], speeds: speeds))
    let loads = [(0..<parts.experts).map { 4.0 * Double(1 + $0 % 3) / Double(2 * parts.experts) }]
    let placement = try planner.plan(sizes, loads: loads).placements[0]
    #expect(placement.devices == [0] && !placement.experts.allSatisfy { $0 == .device(0) })
    let layer = try parts.layer(on: machine, placement)
    #expect(layer.placement == placement)
    #expect(Self.isClose(try layer.bits(states), try parts.layer(on: machine).bits(states)))
  }

  /// Experts on a device stay as published, and are packed neither in memory nor on disk.
  @Test func expertsOnDevicesAreNotPacked() throws {
    let folder = try CacheFolder(), fixture = try LayerFixture.named("qwen2_moe"), model = try fixture.model(), states = try fixture.input().states
    let machine = OpenCLTests.machine, block = try model.block(prefix: fixture.prefix()), placement = try #require(Self.layer(fixture).placement)
    let expected = try Self.layer(fixture).bits(states)
    for source in [PackedCache.Report.Source.packed, .read] {
      let layer = try MoELayer(model, block: block, on: machine, layout: .panels, packedCache: PackedCache(folder: folder.path), placement: placement)
      for (expert, home) in zip(layer.weights.experts.experts, placement.experts) {
        if case .device = home { #expect(expert.up.layout == .rows) } else { #expect(expert.up.layout == .panels) }
      }
      #expect(layer.packedCache?.source == source)
      #expect(try layer.bits(states) == expected)
      // The weights compute elsewhere.
      let onCPU = try MoELayer(configuration: layer.configuration, weights: layer.weights, on: machine)
      #expect(try onCPU.bits(states) == fixture.layer().bits(states))
    }
  }

  private func failure(_ body: () throws -> Void) -> MoEError? {
    do { try body() } catch let error as MoEError { return error } catch { Issue.record("another error: \(error)") }
    return nil
  }

  @Test func whatCannotBeIsAnError() throws {
    let parts = try RandomLayer("bf16", .float), machine = OpenCLTests.machine, good = Self.mixed(parts.experts)
    let far = Self.placement([99] + .init(repeating: nil, count: parts.experts - 1))
    guard case .placement(.unknownDevice(99, let count)) = failure({ _ = try parts.layer(on: machine, far) }) else {
      Issue.record("device 99 is accepted")
      return
    }
    #expect(count == Self.devices)
    guard case .machine = failure({
      _ = try MoELayer(configuration: parts.configuration, weights: parts.weights, on: machine, device: .openCL(0), placement: good)
    }) else {
      Issue.record("a device beside a placement is accepted")
      return
    }
    let tight = try Machine.current(threads: 1, openCL: OpenCLOptions(memoryLimit: 1000, programs: ProgramCache(folder: OpenCLTests.programs)))
    guard case .openCL(let error) = failure({ _ = try parts.layer(on: tight, good) }) else {
      Issue.record("1000 bytes are enough")
      return
    }
    #expect(error.call == "clCreateBuffer" && error.name == "CL_MEM_OBJECT_ALLOCATION_FAILURE")
    #expect(try parts.layer(on: tight).bits(PlacedLayerTests.states(3, 1024)) == parts.layer(on: machine).bits(PlacedLayerTests.states(3, 1024)))
    let layer = try parts.layer(on: machine, good)
    var weights = layer.weights
    weights.experts = try ExpertBank(Array(weights.experts.experts.dropLast()), activation: weights.experts.activation)
    guard case .placement(.experts) = failure({ _ = try layer.replacing(weights) }) else {
      Issue.record("a placement of fewer experts is accepted")
      return
    }
  }
}
