// Pages and workers on the NUMA nodes planned, on machines that have several: the guests of scripts/placement-guests.

import Foundation
import MoE
import Synchronization
import Testing

@Suite(.enabled(if: PlacedLayerTests.hasNodes, "this machine has one NUMA node"), .serialized)
struct NodeTests {
  private let topology = Topology.current()
  private var computing: [NUMANode] { PlacedLayerTests.computing(topology) }
  private var nodes: [Int] { computing.map(\.osIndex) }

  @Test(arguments: [Placement.Strategy.isolate, .wholeExperts, .split, .mirror])
  func pagesLieWhereTheyArePlanned(_ strategy: Placement.Strategy) throws {
    print("placed on \(nodes.count) nodes: \(strategy.rawValue)")
    let memory = try NodeMemory(), parts = try RandomLayer("q8_0", .int8), machine = try Machine(topology: topology)
    let layer = try parts.layer(on: machine, PlacedLayerTests.placement(strategy, parts.experts, on: topology))
    #expect(layer.placementNotes == [])
    var held = Set<Int>()
    for matrix in layer.weights.matrices {
      for (node, shard) in zip(nodes, matrix.shards) where !shard.rows.isEmpty {
        #expect(memory.nodes(of: matrix.bytes(of: shard)) == [node])
        held.insert(node)
      }
    }
    #expect(held == (strategy == .isolate ? [nodes.last!] : Set(nodes)))
  }

  /// Experts planned for the memory of a node without cores lie there, with the bits of none.
  @Test(.enabled(if: PlacedLayerTests.topologies[0].ownCores.contains(0), "every node has cores"))
  func expertsLieInMemoryAlone() throws {
    let memory = try NodeMemory(), parts = try RandomLayer("q8_0", .int8), machine = try Machine(topology: topology)
    let plain = try parts.layer(on: machine), states = try PlacedLayerTests.states(5, plain.hidden)
    var model = try MachineModel(topology)
    model.memories[0].bandwidth = 1e12
    model.memories[0].memoryBytes = plain.sizes.bytes / 4
    for strategy in [Placement.Strategy.split, .wholeExperts, .isolate] {
      let plan = try Planner(model).plan(plain.sizes, loads: [Array(repeating: 0, count: parts.experts)], only: strategy)
      let placement = plan.placements[0], layer = try parts.layer(on: machine, placement)
      #expect(layer.placementNotes == [] && placement.memories.map(\.osIndex) == [model.memories[0].osIndex])
      var there = 0
      for matrix in layer.weights.matrices {
        for (place, shard) in zip(placement.places, matrix.shards) where !shard.rows.isEmpty {
          #expect(memory.nodes(of: matrix.bytes(of: shard)) == [place])
          if place == model.memories[0].osIndex { there += 1 }
        }
      }
      #expect(there > 0)
      #expect(try layer.bits(states) == plain.bits(states))
      print("memory alone: \(there) matrices on node \(model.memories[0].osIndex), \(strategy.rawValue)")
    }
  }

  /// Experts that move lie on the new node's pages, those that stay where they were; a node without room leaves the layer as it is.
  @Test func pagesFollowMoves() throws {
    let memory = try NodeMemory(), parts = try RandomLayer("q8_0", .int8), machine = try Machine(topology: topology)
    let first = PlacedLayerTests.placement(.wholeExperts, parts.experts, on: topology), count = nodes.count
    func moved(_ shared: Placement.Home) -> Placement {
      let homes = first.experts.enumerated().map { $0 % 3 == 0 ? Placement.Home.nodes([($0 + 1) % count]) : $1 }
      return Placement(strategy: .wholeExperts, nodes: nodes, shares: first.shares, experts: homes, shared: shared, machine: topology.fingerprint)
    }
    let layers = try AdaptiveLayers([parts.layer(on: machine, first)], planner: nil), before = AdaptiveLayerTests.places(layers[0])
    try layers.move(0, to: moved(.split))
    for (old, new) in zip(before, AdaptiveLayerTests.places(layers[0])) {
      for (node, (address, rows)) in new where old[node]?.1 == rows { #expect(old[node]!.0 == address) }
    }
    for matrix in layers[0].weights.matrices {
      for (node, shard) in zip(nodes, matrix.shards) where !shard.rows.isEmpty { #expect(memory.nodes(of: matrix.bytes(of: shard)) == [node]) }
    }
    let node = computing.last!, full = try #require(AlignedBuffer(mapping: node.memoryBytes)), inForce = layers[0].placement
    #expect(memory.bind(full.bytes, to: [node.osIndex]) == nil)
    full.bytes.initializeMemory(as: UInt8.self, repeating: 1)
    #expect { try layers.move(0, to: PlacedLayerTests.placement(.isolate, parts.experts, on: topology)) } throws: {
      if case MoEError.placement(.memory) = $0 { true } else { false }
    }
    #expect(layers[0].placement == inForce)
  }

  @Test func interleavedPagesLieOnAllNodes() throws {
    let memory = try NodeMemory(), parts = try RandomLayer("q8_0", .int8), machine = try Machine(topology: topology)
    let layer = try parts.layer(on: machine, PlacedLayerTests.placement(.interleave, parts.experts, on: topology))
    let found = layer.weights.matrices.flatMap { matrix in matrix.shards.last.flatMap { memory.nodes(of: matrix.bytes(of: $0)) } ?? [] }
    #expect(Set(found).count > 1)
  }

  /// Every worker stays on one node, each node has its part of them, and at most as many as it has CPUs.
  @Test(arguments: [true, nil], [2, 3, 4])
  func workersStayOnTheirNodes(_ pinned: Bool?, _ threads: Int) throws {
    let pool = try Machine(topology: topology, threads: threads, pinned: pinned).pool
    let masks = UnsafeMutablePointer<[Int]>.allocate(capacity: threads), waiting = Atomic<Int>(0)
    masks.initialize(repeating: [], count: threads)
    defer { masks.deinitialize(count: threads).deallocate() }
    // Tasks that wait for one another meet every worker.
    pool.run(tasks: threads) { _, worker in
      masks[worker] = CPULimits.allowedCPUs()
      waiting.add(1, ordering: .relaxed)
      let end = ContinuousClock.now + .seconds(30)
      while waiting.load(ordering: .relaxed) < threads, ContinuousClock.now < end {}
    }
    #expect(pool.notes == [])
    var workers = [Int](repeating: 0, count: nodes.count)
    for worker in 1..<threads {
      let node = computing.firstIndex { masks[worker].allSatisfy($0.processingUnits.contains) }
      #expect(node != nil, "\(masks[worker])")
      if let node { workers[node] += 1 }
    }
    #expect(zip(workers, computing).allSatisfy { $0 <= $1.processingUnits.count })
    #expect(workers.max()! - workers.min()! <= 1)
  }

  /// A node without room for its weights: the rest lies elsewhere, which is said.
  @Test func aFullNodeOverflows() throws {
    let memory = try NodeMemory(), node = computing.last!, buffer = try #require(AlignedBuffer(mapping: node.memoryBytes))
    #expect(memory.bind(buffer.bytes, to: [node.osIndex]) == nil)
    buffer.bytes.initializeMemory(as: UInt8.self, repeating: 1)
    let strays = memory.strays(in: UnsafeRawBufferPointer(buffer.bytes), from: [node.osIndex])
    #expect(strays.pages > 0 && strays.pages < strays.asked)
  }

  /// A memory policy that the user set is kept, and the layer says so.
  ///
  /// Pages are looked up while it is in force: without it the system balances nodes, and does not tell where pages lie that it watches.
  @Test func aPolicyOfTheProcessStays() throws {
    let parts = try RandomLayer("q8_0", .int8), machine = try Machine(topology: topology, threads: 1), memory = try NodeMemory()
    try withMemoryPolicy(bindingTo: 0) {
      let layer = try parts.layer(on: machine, PlacedLayerTests.placement(.split, parts.experts, on: topology))
      #expect(layer.placementNotes.contains { $0.contains("memory policy") })
      for matrix in layer.weights.matrices {
        for shard in matrix.shards where !shard.rows.isEmpty { #expect(memory.nodes(of: matrix.bytes(of: shard)) == [0]) }
      }
    }
  }
}

/// Runs `body` under what `numactl --membind` sets for this thread.
private func withMemoryPolicy<T>(bindingTo node: Int, _ body: () throws -> T) throws -> T {
  typealias Call = @convention(c) (_ number: Int, _ mode: Int, _ nodes: UnsafePointer<UInt>?, _ bits: Int) -> Int
  let symbol = try #require(dlsym(nil, "syscall")), call = unsafeBitCast(symbol, to: Call.self), setMemoryPolicy = 238
  var nodes: UInt = 1 << UInt(node)
  #expect(call(setMemoryPolicy, 2, &nodes, 64) == 0)
  defer { _ = call(setMemoryPolicy, 0, nil, 0) }
  return try body()
}
