// The steady state allocates nothing: calls that need no more than those before them, counted in a process of their own.

import CMoEAllocationCounter
import Foundation
import MoE
import MoEReference
import Testing

@Suite(.enabled(if: moe_counts_allocations(), "allocations are not counted under a sanitizer or without glibc"))
struct AllocationTests {
  /// Softmax top-k, groups with a shared expert, a gate on the shared expert, weights on the input, SparseMixer, capacity, biases, latent
  /// experts, identity experts, product keys.
  static let cases = [
    "qwen3_moe", "deepseek_v3", "qwen2_moe", "llama4", "phimoe", "switch_transformers", "switch_transformers_cap1", "mixtral", "gpt_oss",
    "nemotron_h_latent_awkward", "longcat_flash_all", "deepseek_v4_all", "doge_all",
  ]

  @Test(arguments: cases)
  func forwardAllocatesNothing(_ name: String) async {
    await #expect(processExitsWith: .success) { [name] in
      for machine in [try Machine.current(threads: 1), try .current(threads: 2), try .current(threads: 4)] {
        let float = try LayerFixture.named(name).layer(on: machine)
        let rounded = [try float.rounded(.int8, weights: "q8_0", on: machine), try float.rounded(.bfloat16, weights: "bf16", on: machine)]
        for layer in [float] + rounded.compactMap({ $0 }) {
          let states = try LayerFixture.named(name).input().states, workspace = Workspace()
          for tokens in [64, 1, 4] {
            let rows = try states.rows((0..<tokens).map { $0 % states.tokens })
            let withWorkspace = try layer.allocations(rows, workspace: workspace), plain = try layer.allocations(rows, workspace: nil)
            #expect(withWorkspace == 0, "\(name), \(layer.activations), \(tokens) tokens, \(machine.pool.threads) threads")
            #expect(plain == 0, "\(name), \(layer.activations), \(tokens) tokens, \(machine.pool.threads) threads, no workspace")
          }
        }
      }
    }
  }

  @Test(arguments: Placement.Strategy.allCases)
  func placedLayersAllocateNothing(_ strategy: Placement.Strategy) async {
    await #expect(processExitsWith: .success) { [strategy] in
      for topology in PlacedLayerTests.topologies {
        for activations in [ActivationPrecision.float, .int8] {
          let parts = try RandomLayer("q8_0", activations), placement = PlacedLayerTests.placement(strategy, parts.experts, on: topology)
          let layer = try parts.layer(on: Machine(topology: topology, threads: 2), placement), workspace = Workspace()
          for tokens in [100, 1, 4] {
            let states = try PlacedLayerTests.states(tokens, layer.hidden)
            #expect(try layer.allocations(states, workspace: workspace) == 0, "\(activations), \(tokens) tokens, \(topology.nodes.count) nodes")
          }
        }
      }
    }
  }

  /// Calls of a layer with experts on devices that need none of them.
  @Test(.enabled(if: !OpenCLTests.devices.isEmpty, "there is no OpenCL device"))
  func rowsOfTheCPUAllocateNothingBesideDevices() async {
    await #expect(processExitsWith: .success) {
      for activations in [ActivationPrecision.float, .int8] {
        let parts = try RandomLayer("q8_0", activations), workspace = Workspace()
        let layer = try parts.layer(on: OpenCLTests.machine, JointLayerTests.mixed(parts.experts, shared: false))
        for tokens in [100, 1, 4] {
          let states = try PlacedLayerTests.states(tokens, layer.hidden), ids = (0..<tokens).flatMap { [Int32($0 % 2 * 3), Int32(6)] }
          let routing = try RouterOutput(experts: parts.experts, topK: 2, expertIDs: ids, weights: .init(repeating: 0.5, count: ids.count))
          #expect(try layer.allocations(states, routing: routing, workspace: workspace) == 0, "\(activations), \(tokens) tokens")
        }
      }
    }
  }

  @Test func layersThatFollowTheirLoadsAllocateNothing() async {
    await #expect(processExitsWith: .success) {
      for topology in PlacedLayerTests.topologies {
        let parts = try RandomLayer("q8_0", .int8), placement = PlacedLayerTests.placement(.split, parts.experts, on: topology)
        let layer = try parts.layer(on: Machine(topology: topology, threads: 2), placement)
        let layers = try AdaptiveLayers([layer], planner: Planner(MachineModel(topology)), window: 1 << 20)
        // What the thread allocates when it starts is not a call's.
        while topology.nodes.count > 1, !layers.isWaiting { usleep(1000) }
        for tokens in [100, 1] {
          let states = try PlacedLayerTests.states(tokens, layer.hidden)
          let allocations = try allocations(states) { try layers.forward(layer: 0, $0, into: $1) }
          #expect(allocations == 0, "\(tokens) tokens, \(topology.nodes.count) nodes")
        }
      }
    }
  }

  static let routers: [RouterConfiguration] = [
    .init(scores: 16, score: .sqrtSoftplus, selection: .topK(3), norm: .init(), scale: 2.5),
    .init(scores: 16, score: .softmax, selection: .topK(3), groups: .init(count: 4, kept: 2, score: .max, fill: 0), norm: .init(p: 2)),
    .init(scores: 16, score: .softmax, selection: .topP(0.6)), .init(scores: 16, score: .softmax, selection: .topOfEachGroup(4)),
    .init(scores: 16, score: .sigmoid, selection: .all, norm: .init(over: .all), nonFinite: .sanitize),
    .init(scores: 16, score: .softmax, selection: .expertChoice(factor: 2)),
    .init(
      scores: 16, score: .softmax, selection: .topK(2),
      capacity: .init(.twiceEvenShare, order: .rankMajor, perSequence: true, normBeforeDropping: true), norm: .init()),
  ]

  /// Routers that no fixture has; a token without finite logits among the others; bf16 rows; assignments of the caller's own.
  @Test(arguments: routers.indices)
  func routersAllocateNothing(_ index: Int) async {
    await #expect(processExitsWith: .success) { [index] in
      var random = SeededRandom(seed: 5)
      let fixture = try LayerFixture.named("qwen3_moe"), plain = try fixture.layer(), states = try fixture.input().states
      var configuration = plain.configuration, weights = plain.weights
      configuration.router = AllocationTests.routers[index]
      weights.router = try Router(configuration.router, weight: random.floats(16 * plain.hidden, in: -1...1), hidden: plain.hidden)
      let layer = try MoELayer(configuration: configuration, weights: weights, on: LayerFixture.machines[2])
      let rows = try states.rows((0..<64).map { $0 % states.tokens }).with(3, .nan), workspace = Workspace()
      for type in [WeightFormat.f32, .bf16] { #expect(try layer.allocations(rows, type, workspace: workspace) == 0, "\(type)") }
      #expect(try layer.allocations(rows, routing: layer.route(rows), workspace: workspace) == 0)
      #expect(try layer.allocations(rows, workspace: workspace) == 0)
    }
  }

  /// Every function that could allocate, on the calling thread and on a worker, and what the layer itself allocates the first time.
  @Test func theCounterCounts() async {
    await #expect(processExitsWith: .success) {
      func count(_ body: () throws -> Void) rethrows -> Int64 {
        let before = moe_allocations()
        try body()
        return moe_allocations() - before
      }
      #expect(count {} == 0)
      for alignment in [1, 64, 4096] {
        #expect(count { UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: alignment).deallocate() } == 1, "alignment \(alignment)")
      }
      #expect(count { _ = blackHole([Int](repeating: 1, count: 1000)) } > 0)
      let pool = try WorkerPool(threads: 3)
      pool.run(tasks: 3, Allocating())
      #expect(count { pool.run(tasks: 100, Allocating()) } == 100)
      let fixture = try LayerFixture.named("qwen3_moe"), layer = try fixture.layer(), states = try fixture.input().states
      #expect(try count { _ = try layer.bits(states) } > 0)
    }
  }
}

private struct Allocating: ParallelWork {
  func perform(task: Int, worker: Int) { UnsafeMutableRawPointer.allocate(byteCount: 100, alignment: 1).deallocate() }
}

@inline(never) private func blackHole(_ values: [Int]) -> Int { values.reduce(0, &+) }

/// Allocations of ten calls after some to warm up.
private func allocations(
  _ states: HiddenStates, _ type: WeightFormat = .f32, _ call: (RowView, MutableRowView) throws -> Void
) throws -> Int64 {
  let from = try type.encode(states.values)
  var to = from, allocated: Int64 = 0
  try from.withUnsafeBytes { from in
    try to.withUnsafeMutableBytes { to in
      let input = try RowView(from.baseAddress!, type, count: states.tokens, columns: states.hidden)
      let output = try MutableRowView(to.baseAddress!, type, count: states.tokens, columns: states.hidden)
      // A worker that the system has not let run yet may still have its first call before it: what every round allocates counts.
      for round in 0..<4 where round < 2 || allocated > 0 {
        let before = moe_allocations()
        for _ in 0..<10 { try call(input, output) }
        allocated = moe_allocations() - before
      }
    }
  }
  return allocated
}

extension MoELayer {
  /// As above, of the layer's calls.
  fileprivate func allocations(
    _ states: HiddenStates, _ type: WeightFormat = .f32, routing: RouterOutput? = nil, workspace: Workspace?
  ) throws -> Int64 {
    try LayerTests.allocations(states, type) { try forward($0, into: $1, routing: routing, workspace: workspace) }
  }

  /// The layer with experts of random weights, on rounded activations; nil where a row of its width is not whole blocks.
  fileprivate func rounded(_ activations: ActivationPrecision, weights name: String, on machine: Machine) throws -> MoELayer? {
    let format = WeightFormat(named: name)!, intermediate = 64
    var random = SeededRandom(seed: 8)
    func matrix(_ rows: Int, _ columns: Int) throws -> PackedMatrix {
      let bytes = try format.encode(random.floats(rows * columns, in: -1...1)), buffer = AlignedBuffer(byteCount: bytes.count)
      buffer.bytes.copyBytes(from: bytes)
      let view = try TensorView(name: "random", type: .weights(format), shape: [rows, columns], bytes: .init(buffer.bytes), owner: buffer)
      return try PackedMatrix(rowsOf: view, .init(count: rows))
    }
    func bank(like bank: ExpertBank) throws -> ExpertBank {
      let experts = try bank.experts.map { _ in
        try Expert(
          gate: bank.isGated ? matrix(intermediate, bank.hidden) : nil, up: matrix(intermediate, bank.hidden),
          down: matrix(bank.hidden, intermediate))
      }
      return try ExpertBank(experts, activation: bank.activation, weightOnInput: bank.weightOnInput, outputScale: bank.outputScale)
    }
    guard weights.experts.hidden % 32 == 0, hidden % 32 == 0 else { return nil }
    var weights = weights
    weights.experts = try bank(like: weights.experts)
    weights.shared = try weights.shared.map(bank)
    return try MoELayer(configuration: configuration, weights: weights, on: machine, activations: activations)
  }
}
