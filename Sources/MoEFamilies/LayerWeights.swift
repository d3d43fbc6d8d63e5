// The weights of one block, read and packed: router, experts, shared expert, projections.

internal import MoECheckpoint
public import MoEExperts
public import MoERouting
public import MoETensors

/// Everything one MoE layer keeps in memory.
public struct LayerWeights: Sendable {
  /// The router, its parameters widened to f32.
  public var router: Router
  /// The routed experts.
  public var experts: ExpertBank
  /// The shared expert as a bank of one.
  public var shared: ExpertBank?
  /// [hidden] weight of the sigmoid gate on the shared expert.
  public var sharedGate: [Float]?
  /// Projections into and out of the width the routed experts work in.
  public var latentIn: PackedMatrix?
  /// [hidden, expert width], after the combine; nil where experts read the layer's own width.
  public var latentOut: PackedMatrix?
  /// [hidden], added to every output.
  public var outputBias: [Float]?

  /// Bytes of packed experts, shared expert and projections.
  public var residentBytes: Int {
    experts.residentBytes + (shared?.residentBytes ?? 0) + (latentIn?.residentBytes ?? 0) + (latentOut?.residentBytes ?? 0)
  }
}

extension LayerWeights {
  /// The routed experts and the shared one.
  package var banks: [ExpertBank] { [experts] + [shared].compactMap { $0 } }

  /// The matrices around the experts.
  package var projections: [PackedMatrix] { [latentIn, latentOut].compactMap { $0 } }

  /// Bytes of the same weights in another layout; nil for the one that a layer on the CPU chooses by itself.
  public func residentBytes(in layout: WeightLayout?) -> Int {
    matrices.reduce(residentBytes) { $0 + $1.residentBytes(in: layout) - $1.residentBytes }
  }

  /// Bytes, in their published formats, of the matrices that every token is multiplied with.
  package var publishedBytesBesideRouted: Int {
    (shared?.experts[0].publishedBytes ?? 0) + (latentIn?.publishedBytes ?? 0) + (latentOut?.publishedBytes ?? 0)
  }

  /// All matrices: of the routed experts, the shared one, the projections.
  package var matrices: [PackedMatrix] { banks.flatMap(\.matrices) + projections }

  /// The weights with other matrices of the same shapes, experts' on nodes where these are given; `replace` sees them in the order of `matrices`.
  package func replacingMatrices(
    on nodes: (experts: BankNodes, shared: BankNodes?)? = nil, _ replace: (PackedMatrix) -> PackedMatrix
  ) -> LayerWeights {
    var weights = self
    weights.experts = experts.replacingMatrices(on: nodes?.experts, replace)
    weights.shared = shared?.replacingMatrices(on: nodes?.shared, replace)
    weights.latentIn = latentIn.map(replace)
    weights.latentOut = latentOut.map(replace)
    return weights
  }

  /// The weights without nodes: what these divide among them is copied together.
  package var inOnePlace: LayerWeights { banks.allSatisfy { $0.nodes == nil } ? self : replacingMatrices { $0 } }

  /// Demands that every part has the sizes of `configuration`: kernels trust them.
  ///
  /// - Throws: `ShapeError` naming the part.
  package func check(_ configuration: MoEConfiguration) throws(ShapeError) {
    let hidden = configuration.hidden, inner = latentIn?.rows ?? hidden
    let sizes: [(part: String, found: [Int], expected: [Int])] = [
      ("router", [router.configuration.scores, router.configuration.experts, router.hidden], [configuration.router.scores, configuration.router.experts, hidden]),
      ("experts", [experts.hidden], [inner]), ("shared expert", [shared?.count ?? 1, shared?.hidden ?? hidden], [1, hidden]),
      ("gate of the shared expert", [sharedGate?.count ?? hidden], [hidden]), ("output bias", [outputBias?.count ?? hidden], [hidden]),
      ("projection into the experts", [latentIn?.columns ?? hidden], [hidden]),
      ("projection out of the experts", latentOut.map { [$0.rows, $0.columns] } ?? [hidden, hidden], [hidden, inner]),
    ]
    for (part, found, expected) in sizes where found != expected {
      throw ShapeError(tensor: part, reason: "has sizes \(found), the configuration wants \(expected)")
    }
  }
}

extension MoEModel {
  /// Reads and packs the weights of a block.
  ///
  /// - Throws: `MoEError` naming the tensor that is missing or of another shape, or the quantization that is not read.
  public func weights(of block: MoEBlock, kernels: KernelTable = .best) throws(MoEError) -> LayerWeights {
    let configuration = try configuration(of: block), names = try names(of: block)
    let reader = LinearReader(tensors: checkpoint.tensors, quantization: quantization)
    let experts = try ExpertReader(reader: reader, configuration: configuration, names: names, layout: expertLayout(of: block)).bank()
    var weights = LayerWeights(router: try router(configuration, names, reader, kernels), experts: experts)
    if let shared = configuration.shared {
      weights.shared = try sharedBank(shared, configuration, names, reader)
      if let gate = names.sharedGate { weights.sharedGate = try reader.floats(gate, count: configuration.hidden) }
    }
    if let latentIn = names.latentIn, let latentOut = names.latentOut {
      weights.latentIn = try reader.linear(latentIn, rows: configuration.expertHidden, columns: configuration.hidden)
      weights.latentOut = try reader.linear(latentOut, rows: configuration.hidden, columns: configuration.expertHidden)
    }
    if let bias = names.outputBias { weights.outputBias = try reader.floats(bias, count: configuration.hidden) }
    return weights
  }

  private func router(
    _ configuration: MoEConfiguration, _ names: LayerNames, _ reader: LinearReader, _ kernels: KernelTable
  ) throws(MoEError) -> Router {
    let scores = configuration.router.scores
    let matrix = try reader.linear(String(names.routerWeight.dropLast(".weight".count)), rows: scores, columns: configuration.hidden)
    let weight = matrix.decoded()
    let bias: [Float]? = if let name = names.routerBias { try reader.floats(name, count: scores) } else { nil }
    let choiceBias: [Float]? = if let name = names.choiceBias { try reader.floats(name, count: scores) } else { nil }
    return try MoEError.routing { () throws(RoutingError) in
      try Router(configuration.router, weight: weight, hidden: configuration.hidden, bias: bias, choiceBias: choiceBias, kernels: kernels)
    }
  }

  private func sharedBank(
    _ shared: MoEConfiguration.Shared, _ configuration: MoEConfiguration, _ names: LayerNames, _ reader: LinearReader
  ) throws(MoEError) -> ExpertBank {
    let width = shared.intermediate, hidden = configuration.hidden
    func bias(_ role: String, _ count: Int) throws(MoEError) -> [Float]? {
      guard let name = names.shared["\(role)_bias"] else { return nil }
      return try reader.floats(name, count: count)
    }
    let expert: Expert
    if let gateUp = names.shared["gate_up"], let down = names.shared["down"] {
      let both = try reader.complete(gateUp), out = try reader.complete(down)
      guard both.shape == [2 * width, hidden], out.shape == [hidden, width] else {
        throw .shape(ShapeError(tensor: gateUp, reason: "expected [\(2 * width), \(hidden)] and [\(hidden), \(width)], found \(both.shape) and \(out.shape)"))
      }
      expert = try MoEError.shaping { () throws(ShapeError) in
        Expert(
          gate: try PackedMatrix(rowsOf: both, .init(count: width)), up: try PackedMatrix(rowsOf: both, .init(first: width, count: width)),
          down: try PackedMatrix(rowsOf: out, .init(count: hidden)))
      }
    } else {
      let gate: PackedMatrix? = if let name = names.shared["gate"] { try reader.linear(name, rows: width, columns: hidden) } else { nil }
      expert = Expert(
        gate: gate, up: try reader.linear(names.shared["up"] ?? "", rows: width, columns: hidden),
        down: try reader.linear(names.shared["down"] ?? "", rows: hidden, columns: width), gateBias: try bias("gate", width),
        upBias: try bias("up", width), downBias: try bias("down", hidden))
    }
    return try MoEError.shaping { () throws(ShapeError) in try ExpertBank([expert], activation: shared.activation, name: "shared expert") }
  }
}
