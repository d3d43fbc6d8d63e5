// Experts that move while their layers are called: the same bits all the time, what stays is not copied, what goes is given back.

import Dispatch
import Foundation
import MoE
import MoEReference
import Synchronization
import Testing

@Suite struct AdaptiveLayerTests {
  static func randomPlacement(_ experts: Int, on topology: Topology, _ random: inout SeededRandom) -> Placement {
    let nodes = PlacedLayerTests.computing(topology).map(\.osIndex).filter { $0 == 0 || Bool.random(using: &random) }
    func home() -> Placement.Home {
      let copies = nodes.indices.filter { _ in Bool.random(using: &random) }
      return [.split, .interleaved, .nodes(copies.isEmpty ? [0] : copies)].randomElement(using: &random)!
    }
    return Placement(
      strategy: .split, nodes: nodes, shares: nodes.map { _ in .random(in: 1...9, using: &random) }, experts: (0..<experts).map { _ in home() },
      shared: home(), machine: topology.fingerprint)
  }

  /// For every matrix the address and rows of what each node has of it, by the node's index in the system.
  static func places(_ layer: MoELayer) -> [[Int: (UnsafeRawPointer, Range<Int>)]] {
    layer.weights.matrices.map { matrix in
      let shards = zip(layer.placement!.nodes, matrix.shards).filter { !$1.rows.isEmpty }
      return Dictionary(uniqueKeysWithValues: shards.map { ($0, (matrix.bytes(of: $1).baseAddress!, $1.rows)) })
    }
  }

  @Test(arguments: [ActivationPrecision.float, .int8])
  func movedLayersHaveTheBitsOfNone(_ activations: ActivationPrecision) throws {
    var random = SeededRandom(seed: 21)
    let parts = try RandomLayer("q8_0", activations), plain = try parts.layer(on: LayerFixture.machine)
    let states = try [1, 7, 90].map { try PlacedLayerTests.states($0, plain.hidden) }, expected = try states.map { try plain.bits($0) }
    for topology in PlacedLayerTests.topologies {
      var layer = try parts.layer(on: Machine(topology: topology, threads: 3), Self.randomPlacement(parts.experts, on: topology, &random))
      for round in 0..<16 {
        let before = Self.places(layer), placement = Self.randomPlacement(parts.experts, on: topology, &random)
        layer = try layer.moved(to: placement)
        #expect(layer.placement == placement)
        for (old, new) in zip(before, Self.places(layer)) {
          for (node, (address, rows)) in new where old[node]?.1 == rows { #expect(old[node]!.0 == address, "round \(round)") }
        }
        for (states, expected) in zip(states, expected) { #expect(try layer.bits(states) == expected, "\(placement)") }
      }
      // All on one node again: as many bytes as the weights have.
      layer = try layer.moved(to: PlacedLayerTests.placement(.isolate, parts.experts, on: topology))
      #expect(layer.weights.residentBytes == plain.weights.residentBytes)
      let unplaced = try parts.layer(on: Machine(topology: topology, threads: 2))
      #expect(try unplaced.moved(to: PlacedLayerTests.placement(.split, parts.experts, on: topology)).bits(states[1]) == expected[1])
    }
  }

  @Test func partsGoBackToTheSystem() throws {
    let page = 65536, buffer = try #require(AlignedBuffer(mapping: 8 * page))
    buffer.bytes.initializeMemory(as: UInt8.self, repeating: 1)
    func ones(_ pages: Range<Int>) -> Bool { buffer.bytes[pages.lowerBound * page..<pages.upperBound * page].allSatisfy { $0 == 1 } }
    do { _ = BufferPart(buffer, page + 1..<4 * page - 1) }
    #expect(ones(0..<1) && ones(4..<8) && buffer.bytes[page] == 1 && buffer.bytes[4 * page - 1] == 1)
    #if os(Linux)
      #expect(buffer.bytes[2 * page..<3 * page].allSatisfy { $0 == 0 })
    #endif
    do { _ = BufferPart(buffer, 6 * page..<6 * page) }
    #expect(ones(4..<8))
  }

  /// Calls from several threads while placements change at random.
  @Test(arguments: [ActivationPrecision.float, .int8])
  func callsGoOnWhileExpertsMove(_ activations: ActivationPrecision) throws {
    let topology = try #require(PlacedLayerTests.topologies.last), machine = try Machine(topology: topology, threads: 2)
    let parts = try RandomLayer("q8_0", activations), first = PlacedLayerTests.placement(.wholeExperts, parts.experts, on: topology)
    let states = try PlacedLayerTests.states(3, 1024), expected = try parts.layer(on: machine).bits(states)
    let layers = try AdaptiveLayers([parts.layer(on: machine, first), parts.layer(on: machine, first)], planner: nil)
    let moves = Atomic(0), wrong = Atomic(0), failures = Atomic(0)
    DispatchQueue.concurrentPerform(iterations: 5) { thread in
      var random = SeededRandom(seed: UInt64(thread))
      do {
        if thread == 0 {
          for move in 0..<12 {
            try layers.move(move % 2, to: Self.randomPlacement(parts.experts, on: topology, &random))
            moves.add(1, ordering: .relaxed)
          }
        } else {
          repeat {
            if try layers.bits(thread % 2, states) != expected { wrong.add(1, ordering: .relaxed) }
          } while moves.load(ordering: .relaxed) < 12 && failures.load(ordering: .relaxed) == 0
        }
      } catch { failures.add(1, ordering: .relaxed) }
    }
    #expect((wrong.load(ordering: .relaxed), failures.load(ordering: .relaxed)) == (0, 0))
    #expect(layers.notes == [])
  }

  /// Whole experts of which those on one node are all that is called: the thread finds a better placement and follows it.
  @Test func expertsFollowTheirLoads() throws {
    let topology = try #require(PlacedLayerTests.topologies.first), machine = try Machine(topology: topology, threads: 2)
    let parts = try RandomLayer("q8_0", .int8), first = PlacedLayerTests.placement(.wholeExperts, parts.experts, on: topology)
    let layer = try parts.layer(on: machine, first), states = try PlacedLayerTests.states(16, 1024)
    let busy = (0..<parts.experts).filter { first.experts[$0] == .nodes([0]) }, topK = min(layer.configuration.topK, busy.count)
    let routing = try RouterOutput(
      experts: layer.configuration.router.experts, topK: topK, expertIDs: (0..<16 * topK).map { Int32(busy[$0 % topK]) },
      weights: .init(repeating: 0.5, count: 16 * topK))
    let expected = try layer.bits(states, routing: routing)
    var speeds = AssumedSpeeds()
    speeds.nodeBandwidth = 1e9
    let layers = try AdaptiveLayers([layer, layer], planner: Planner(MachineModel(topology, speeds: speeds)), window: 32, horizon: 100_000)
    let end = ContinuousClock.now + .seconds(60)
    func follows() -> Bool { [0, 1].allSatisfy { !layers[$0].placement!.isAlike(first) } }
    while !follows(), ContinuousClock.now < end { for index in [0, 1] { #expect(try layers.bits(index, states, routing: routing) == expected) } }
    #expect(follows())
    #expect(layers.notes == [])
  }

  #if Hwloc
    /// On one node an expert moves into its fast memory, which has no room for all, when it alone is called.
    @Test func busyExpertsMoveIntoFasterMemory() throws {
      let topology = try Topology(xmlPath: LayerFixture.root + "/topologies/one-node-hbm.xml"), machine = try Machine(topology: topology, threads: 2)
      let parts = try RandomLayer("q8_0", .int8), states = try PlacedLayerTests.states(16, 1024)
      let sizes = try parts.layer(on: machine).sizes
      var model = try MachineModel(topology)
      model.memories[0].memoryBytes = sizes.bytes / 3
      // Slow enough to matter beside the products.
      (model.nodes[0].bandwidth, model.memories[0].bandwidth) = (1e9, 4e9)
      let planner = Planner(model), first = try planner.plan(sizes, loads: [.init(repeating: 1, count: parts.experts)])
      let layer = try parts.layer(on: machine, first.placements[0])
      func isFast(_ home: Placement.Home) -> Bool {
        switch home { case .nodes(let places), .parts(let places): places == [1]; default: false }
      }
      let busy = try #require(first.placements[0].experts.lastIndex { !isFast($0) })
      let routing = try RouterOutput(
        experts: layer.configuration.router.experts, topK: 1, expertIDs: .init(repeating: Int32(busy), count: 16), weights: .init(repeating: 0.5, count: 16))
      let expected = try layer.bits(states, routing: routing), layers = try AdaptiveLayers([layer], planner: planner, window: 32, horizon: 100_000)
      let end = ContinuousClock.now + .seconds(60)
      func follows() -> Bool { isFast(layers[0].placement!.experts[busy]) }
      while !follows(), ContinuousClock.now < end { #expect(try layers.bits(0, states, routing: routing) == expected) }
      #expect(follows())
      #expect(layers.notes == [])
    }
  #endif

  @Test func refusals() throws {
    let topology = try #require(PlacedLayerTests.topologies.first), machine = try Machine(topology: topology, threads: 2)
    let parts = try RandomLayer("bf16", .float), first = PlacedLayerTests.placement(.split, parts.experts, on: topology)
    let layer = try parts.layer(on: machine, first), unplaced = try parts.layer(on: machine)
    let planner = try Planner(MachineModel(topology)), layers = try AdaptiveLayers([layer], planner: planner)
    let foreign = Placement(strategy: .split, nodes: first.nodes, shares: first.shares, experts: first.experts, machine: "another")
    #expect(throws: MoEError.self) { try layers.move(0, to: foreign) }
    #expect(throws: MoEError.self) { try layers.move(0, to: PlacedLayerTests.placement(.split, 1, on: topology)) }
    #expect(layers[0].placement == first)
    #expect(throws: MoEError.self) { try AdaptiveLayers([layer, unplaced], planner: planner) }
    #expect(throws: MoEError.self) { try AdaptiveLayers([layer], planner: planner, window: 0) }
    let fixture = try LayerFixture.named("qwen2_moe").layer(on: machine)
    #expect(throws: MoEError.self) { try AdaptiveLayers([layer, fixture], planner: planner) }
  }

  /// On a machine of one node layers run, and a move changes no weight.
  @Test(.disabled(if: PlacedLayerTests.hasNodes)) func oneNode() throws {
    let machine = LayerFixture.machine, parts = try RandomLayer("q8_0", .int8), layer = try parts.layer(on: machine)
    let layers = try AdaptiveLayers([layer], planner: Planner(MachineModel(machine.topology)), window: 1)
    let states = try PlacedLayerTests.states(3, layer.hidden)
    let isolated = PlacedLayerTests.placement(.isolate, parts.experts, on: machine.topology)
    try layers.move(0, to: isolated)
    #expect(layers[0].placement == isolated)
    #expect(zip(layers[0].weights.matrices, layer.weights.matrices).allSatisfy { $0.borrowed.data == $1.borrowed.data })
    #expect(try layers.bits(0, states) == layer.bits(states))
  }
}

extension AdaptiveLayers {
  /// Bits of the output rows of the layer in force.
  func bits(_ layer: Int, _ states: HiddenStates, routing: RouterOutput? = nil) throws -> [[UInt32]] {
    var out = [Float](repeating: .nan, count: states.values.count)
    try states.values.withUnsafeBufferPointer { from in
      try out.withUnsafeMutableBufferPointer { to in
        _ = try forward(
          layer: layer, RowView(from.baseAddress!, count: states.tokens, columns: states.hidden),
          into: MutableRowView(to.baseAddress!, count: states.tokens, columns: states.hidden), routing: routing)
      }
    }
    return (0..<states.tokens).map { out[$0 * states.hidden..<($0 + 1) * states.hidden].map(\.bitPattern) }
  }
}
