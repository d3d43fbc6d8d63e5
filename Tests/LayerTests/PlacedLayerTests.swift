// Layers on several NUMA nodes: on this machine's where it has some, else on nodes that are made up, where binding does nothing.

import Foundation
import MoE
import MoEReference
import Testing

@Suite struct PlacedLayerTests {
  /// This machine where it has several nodes (as guests of scripts/placement-guests do), else some that share its CPUs.
  static let topologies: [Topology] = {
    let own = Topology.current()
    return own.nodes.count > 1 ? [own] : ["numa:2 core:1 pu:1", "numa:4 core:1 pu:1"].compactMap { try? Topology(synthetic: $0) }
  }()
  static var hasNodes: Bool { topologies.first?.source == .machine }

  static func home(_ strategy: Placement.Strategy, of expert: Int, _ nodes: Int) -> Placement.Home {
    switch strategy {
    case .isolate: .nodes([nodes - 1])
    case .interleave: .interleaved
    case .wholeExperts: .nodes([expert % nodes])
    case .split: .split
    case .mirror: .nodes(Array(0..<nodes))
    }
  }

  /// The nodes with cores.
  static func computing(_ topology: Topology) -> [NUMANode] { zip(topology.nodes, topology.ownCores).filter { $1 > 0 }.map(\.0) }

  static func placement(_ strategy: Placement.Strategy, _ experts: Int, on topology: Topology, shares: [Int]? = nil) -> Placement {
    let computing = computing(topology), nodes = computing.count
    return Placement(
      strategy: strategy, nodes: computing.map(\.osIndex), shares: shares ?? .init(repeating: 1, count: nodes),
      experts: (0..<experts).map { home(strategy, of: $0, nodes) }, shared: home(strategy, of: 1, nodes), machine: topology.fingerprint)
  }

  static func machines(_ topology: Topology, kernels: KernelTable = .best) throws -> [Machine] {
    try [1, 2, 5].map { try Machine(topology: topology, threads: $0, kernels: kernels) }
  }

  static func states(_ tokens: Int, _ hidden: Int) throws -> HiddenStates {
    var random = SeededRandom(seed: UInt64(tokens))
    return try HiddenStates(random.floats(tokens * hidden, in: -1...1), tokens: tokens, hidden: hidden)
  }

  @Test(arguments: Placement.Strategy.allCases)
  func integerProductsHaveTheBitsOfNone(_ strategy: Placement.Strategy) throws { try check([("q8_0", .int8)], strategy) }

  @Test(arguments: Placement.Strategy.allCases)
  func floatProductsHaveTheBitsOfNone(_ strategy: Placement.Strategy) throws {
    try check([("bf16", .float), ("q4_k", .float), ("bf16", .bfloat16)], strategy)
  }

  @Test(arguments: KernelTable.runnable.dropFirst(), Placement.Strategy.allCases)
  func productsOfEveryTableHaveTheBitsOfNone(_ kernels: KernelTable, _ strategy: Placement.Strategy) throws {
    try check([("q8_0", .int8), ("q4_k", .float), ("bf16", .bfloat16)], strategy, kernels)
  }

  /// What emulated machines run of float products.
  @Test func portableFloatProductsHaveTheBitsOfNone() throws {
    for strategy in Placement.Strategy.allCases { try check([("q4_k", .float)], strategy, KernelTable(named: "scalar")!, tokens: [1, 9]) }
  }

  private func check(
    _ kinds: [(format: String, activations: ActivationPrecision)], _ strategy: Placement.Strategy, _ kernels: KernelTable = .best,
    tokens: [Int] = [1, 3, 100]
  ) throws {
    for (format, activations) in kinds {
      let parts = try RandomLayer(format, activations), plain = try parts.layer(on: Machine.current(threads: 2, kernels: kernels))
      let states = try tokens.map { try Self.states($0, plain.hidden) }, expected = try states.map { try plain.bits($0) }
      for topology in Self.topologies {
        let shares = [nil, Self.computing(topology).indices.map { 1 + $0 * $0 }]
        for (machine, shares) in zip(try Self.machines(topology, kernels: kernels), shares + [nil]) {
          let placement = Self.placement(strategy, parts.experts, on: topology, shares: shares), layer = try parts.layer(on: machine, placement)
          #expect(layer.placement == placement)
          for (states, expected) in zip(states, expected) {
            #expect(try layer.bits(states) == expected, "\(format), \(activations), \(topology.nodes.count) nodes, \(states.tokens) tokens")
          }
        }
      }
    }
  }

  @Test func randomPlacementsHaveTheBitsOfNone() throws {
    var random = SeededRandom(seed: 11)
    let parts = try RandomLayer("q8_0", .int8), plain = try parts.layer(on: LayerFixture.machine)
    let states = try [1, 7, 90].map { try Self.states($0, plain.hidden) }, expected = try states.map { try plain.bits($0) }
    for topology in Self.topologies {
      let machines = try Self.machines(topology)
      for round in 0..<24 {
        let nodes = Self.computing(topology).map(\.osIndex).filter { $0 == 0 || Bool.random(using: &random) }
        func home() -> Placement.Home {
          let copies = nodes.indices.filter { _ in Bool.random(using: &random) }
          return [.split, .interleaved, .nodes(copies.isEmpty ? [0] : copies)].randomElement(using: &random)!
        }
        let placement = Placement(
          strategy: .split, nodes: nodes, shares: nodes.map { _ in .random(in: 1...9, using: &random) },
          experts: (0..<parts.experts).map { _ in home() }, shared: home(), machine: topology.fingerprint)
        let layer = try parts.layer(on: machines[round % machines.count], placement)
        for (states, expected) in zip(states, expected) { #expect(try layer.bits(states) == expected, "\(placement)") }
      }
    }
  }

  /// Experts in memory of nodes without cores: this machine's where it has some, else made up.
  @Test func randomPlacementsInMemoriesHaveTheBitsOfNone() throws {
    var random = SeededRandom(seed: 13)
    let parts = try RandomLayer("q8_0", .int8), plain = try parts.layer(on: LayerFixture.machine)
    let states = try [1, 7, 90].map { try Self.states($0, plain.hidden) }, expected = try states.map { try plain.bits($0) }
    let own = Self.topologies.filter { $0.ownCores.contains(0) }
    for topology in try own.isEmpty ? [Topology(synthetic: "pack:2 [numa] [numa] core:1 pu:1")] : own {
      let machines = try Self.machines(topology), nodes = Self.computing(topology).map(\.osIndex)
      let memories = topology.nodes.indices.compactMap { index in
        topology.reader(of: index).map { reader in
          Placement.Memory(osIndex: topology.nodes[index].osIndex, node: nodes.firstIndex(of: topology.nodes[reader].osIndex)!)
        }
      }
      #expect(!memories.isEmpty)
      for round in 0..<24 {
        func place(_ node: Int) -> Int {
          ([node] + memories.indices.filter { memories[$0].node == node }.map { nodes.count + $0 }).randomElement(using: &random)!
        }
        func home() -> Placement.Home {
          let copies = nodes.indices.filter { _ in Bool.random(using: &random) }, places = (copies.isEmpty ? [0] : copies).map(place)
          return [.split, .interleaved, .nodes(places.sorted()), .parts(nodes.indices.map(place))].randomElement(using: &random)!
        }
        let placement = Placement(
          strategy: .split, nodes: nodes, memories: memories, shares: nodes.map { _ in .random(in: 1...9, using: &random) },
          experts: (0..<parts.experts).map { _ in home() }, shared: home(), machine: topology.fingerprint)
        let isMoved = round % 2 == 1, first = isMoved ? Self.placement(.split, parts.experts, on: topology) : placement
        var layer = try parts.layer(on: machines[round % machines.count], first)
        if isMoved { layer = try layer.moved(to: placement) }
        for (matrix, home) in zip(layer.weights.experts.experts.map(\.up), placement.experts) {
          #expect(matrix.shards.map(\.rows) == placement.holdings(of: home, rows: matrix.rows))
        }
        for (states, expected) in zip(states, expected) { #expect(try layer.bits(states) == expected, "\(placement)") }
      }
    }
  }

  /// Latent experts, biases, weights on the input, experts without a gate, matrices that take no panels.
  @Test(arguments: AllocationTests.cases, [Placement.Strategy.split, .wholeExperts, .mirror])
  func fixturesHaveTheBitsOfNone(_ name: String, _ strategy: Placement.Strategy) throws {
    guard let fixture = LayerFixture.found.first(where: { $0.name == name }) else { return }
    let (states, sequences) = try fixture.input(), plain = try fixture.layer(layout: .panels)
    let expected = try plain.bits(states, sequences: sequences)
    for topology in Self.topologies {
      let machine = try Machine(topology: topology, threads: 3), model = try fixture.model()
      let layer = try MoELayer(
        model, block: model.block(prefix: fixture.prefix()), on: machine, layout: .panels,
        placement: Self.placement(strategy, plain.configuration.experts, on: topology))
      #expect(try layer.bits(states, sequences: sequences) == expected)
    }
  }

  /// What scripts/placement-guests compares between host and guests: int8 products have the same bits with every table.
  @Test func outputOfTheHostAndItsGuests() throws {
    let topology = try #require(Self.topologies.first), parts = try RandomLayer("q8_0", .int8), machine = try Machine(topology: topology)
    let layer = try parts.layer(on: machine, Self.placement(.split, parts.experts, on: topology))
    let bits = try layer.bits(Self.states(4, layer.hidden)).joined().map { $0 }
    print("placed layer: \(bits.withUnsafeBytes { Checksum.of($0) })")
  }

  @Test func partsOfAPlacedLayerAreWhole() throws {
    let topology = try #require(Self.topologies.last), machine = try Machine(topology: topology, threads: 2)
    let parts = try RandomLayer("q8_0", .int8), plain = try parts.layer(on: machine), states = try Self.states(5, plain.hidden)
    let split = try parts.layer(on: machine, Self.placement(.split, parts.experts, on: topology))
    let mirror = try parts.layer(on: machine, Self.placement(.mirror, parts.experts, on: topology))
    let whole = try parts.layer(on: machine, Self.placement(.wholeExperts, parts.experts, on: topology))
    #expect(split.weights.residentBytes == plain.weights.residentBytes)
    #expect(zip(mirror.weights.matrices, plain.weights.matrices).allSatisfy { $0.residentBytes == mirror.placement!.nodes.count * $1.residentBytes })
    for layer in [split, mirror, whole] {
      #expect(zip(layer.weights.matrices, plain.weights.matrices).allSatisfy { $0.decoded() == $1.decoded() })
      // The same weights without a placement, and experts taken out of their bank.
      let again = try MoELayer(configuration: layer.configuration, weights: layer.weights, on: LayerFixture.machine, activations: .int8)
      #expect(try again.bits(states) == plain.bits(states))
      var weights = layer.weights
      weights.experts = try ExpertBank(weights.experts.experts, activation: weights.experts.activation)
      #expect(try layer.replacing(weights).bits(states) == plain.bits(states))
    }
  }

  /// The file that is made of a placed layer is the one that is made of one place, and good for both.
  @Test(arguments: Placement.Strategy.allCases)
  func placedFromACache(_ strategy: Placement.Strategy) throws {
    let topology = try #require(Self.topologies.first), machine = try Machine(topology: topology, threads: 2)
    let fixture = try LayerFixture.named("qwen2_moe"), model = try fixture.model(), states = try fixture.input().states
    let plain = try fixture.layer(layout: .panels), expected = try plain.bits(states)
    func layer(_ folder: CacheFolder, _ mode: LoadMode, _ isPlaced: Bool) throws -> MoELayer {
      try MoELayer(
        model, block: model.block(prefix: fixture.prefix()), on: machine, layout: .panels, packedCache: PackedCache(folder: folder.path, mode: mode),
        placement: isPlaced ? Self.placement(strategy, plain.configuration.experts, on: topology) : nil)
    }
    let folders = [try CacheFolder(), try CacheFolder()]
    defer { withExtendedLifetime(folders) {} }
    for (folder, makesPlaced) in zip(folders, [true, false]) {
      #expect(try layer(folder, .mapped, makesPlaced).packedCache?.source == .packed)
      for (mode, isPlaced) in [(LoadMode.mapped, true), (.copied, true), (.mapped, false), (.copied, false)] {
        let next = try layer(folder, mode, isPlaced)
        #expect(next.packedCache?.source == .read && next.packedCache?.comparedSource == false)
        #expect(try next.bits(states) == expected)
        #expect(next.weights.matrices.contains { !$0.shards.isEmpty } == isPlaced)
      }
    }
    let paths = try folders.map { URL(fileURLWithPath: $0.path).appendingPathComponent(try #require($0.names.first)) }
    let files = try paths.map { try Data(contentsOf: $0) }
    #expect(files[0] == files[1])
    // A damaged file is packed anew.
    let handle = try FileHandle(forUpdating: paths[0])
    try handle.seek(toOffset: UInt64(files[0].count - 100))
    try handle.write(contentsOf: [files[0][files[0].count - 100] ^ 1])
    try handle.close()
    let anew = try layer(folders[0], .mapped, true)
    #expect(anew.packedCache?.source == .packed && anew.packedCache?.refused != nil)
    #expect(try anew.bits(states) == expected)
    #expect(try Data(contentsOf: paths[0]) == files[1])
  }

  @Test func theWorkspaceHasTheRowsOfEveryExpert() throws {
    let parts = try RandomLayer("bf16", .float), layer = try parts.layer(on: LayerFixture.machine), states = try Self.states(9, layer.hidden)
    let workspace = Workspace(), routing = try layer.route(states)
    _ = try layer.bits(states, workspace: workspace)
    let offsets = try workspace.expertOffsets
    #expect((0..<parts.experts).allSatisfy { expert in
      offsets[expert + 1] - offsets[expert] == routing.expertIDs.count { $0 == expert }
    })
  }

  @Test func placementsThatDoNotFitAreRefused() throws {
    let topology = try #require(Self.topologies.first), machine = try Machine(topology: topology, threads: 2), parts = try RandomLayer("bf16", .float)
    func expectError(_ placement: Placement, device: MoELayer.Device = .cpu, layout: WeightLayout? = nil) {
      #expect(throws: MoEError.self) {
        _ = try MoELayer(
          configuration: parts.configuration, weights: parts.weights, on: machine, device: device, layout: layout, placement: placement)
      }
    }
    let good = Self.placement(.split, parts.experts, on: topology)
    expectError(Self.placement(.split, parts.experts + 1, on: topology))
    expectError(Placement(strategy: .split, nodes: good.nodes, shares: good.shares, experts: good.experts, machine: "another"))
    expectError(good, device: .blas)
    expectError(good, layout: .rows)
  }
}

/// A layer with a shared expert, of random weights whose rows are several steps of shards.
struct RandomLayer {
  let configuration: MoEConfiguration, weights: LayerWeights, activations: ActivationPrecision
  var experts: Int { configuration.experts }

  init(_ format: String, _ activations: ActivationPrecision, hidden: Int = 1024, intermediate: Int = 256) throws {
    let format = WeightFormat(named: format)!, plain = try LayerFixture.named("qwen2_moe").layer()
    var random = SeededRandom(seed: 3), configuration = plain.configuration, weights = plain.weights
    func matrix(_ rows: Int, _ columns: Int) throws -> PackedMatrix {
      let bytes = try format.encode(random.floats(rows * columns, in: -1...1)), buffer = AlignedBuffer(byteCount: bytes.count)
      buffer.bytes.copyBytes(from: bytes)
      let view = try TensorView(name: "random", type: .weights(format), shape: [rows, columns], bytes: .init(buffer.bytes), owner: buffer)
      return try PackedMatrix(rowsOf: view, .init(count: rows))
    }
    func bank(like bank: ExpertBank) throws -> ExpertBank {
      let experts = try (0..<bank.count).map { _ in
        try Expert(
          gate: matrix(intermediate, hidden), up: matrix(intermediate, hidden), down: matrix(hidden, intermediate),
          upBias: random.floats(intermediate, in: -1...1), downBias: random.floats(hidden, in: -1...1))
      }
      return try ExpertBank(experts, activation: bank.activation)
    }
    (configuration.hidden, configuration.expertHidden) = (hidden, hidden)
    weights.router = try Router(configuration.router, weight: random.floats(configuration.router.scores * hidden, in: -1...1), hidden: hidden)
    weights.experts = try bank(like: weights.experts)
    weights.shared = try weights.shared.map(bank)
    weights.sharedGate = random.floats(hidden, in: -1...1)
    (self.configuration, self.weights, self.activations) = (configuration, weights, activations)
  }

  func layer(on machine: Machine, _ placement: Placement? = nil) throws -> MoELayer {
    try MoELayer(configuration: configuration, weights: weights, on: machine, activations: activations, placement: placement)
  }
}
