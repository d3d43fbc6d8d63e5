// The MoE feed-forward layer: hidden states in, hidden states out.

public import MoECheckpoint
public import MoEExperts
public import MoEFamilies
internal import MoEGroupedGEMM
internal import MoEOpenCL
public import MoEPlacement
public import MoERouting
public import MoETensors

/// One MoE layer of a checkpoint, its experts packed, ready to run.
///
/// A layer is immutable and may be called from several threads at once. On the CPU its results are the same bits for every number of
/// threads, and those of a token the same in every batch, except where the router's definition looks at the batch (capacity, expert
/// choice, product keys).
public struct MoELayer: Sendable {
  /// What the layer computes.
  public let configuration: MoEConfiguration
  /// Router, experts, shared expert and projections, packed.
  public let weights: LayerWeights
  /// What the cache of packed weights did when the layer was made; nil without one, and where no matrix lies in panels.
  public let packedCache: PackedCache.Report?
  /// Where the experts live; nil for weights in one place.
  public let placement: Placement?
  /// What the system refused of the placement, and what stands in its place.
  public let placementNotes: [String]
  /// Where the experts are computed that no placement has on another device.
  public let device: Device
  let backend: any GroupedGEMMBackend
  let machine: Machine

  /// Where the experts are computed.
  public enum Device: Sendable, Hashable, CustomStringConvertible {
    /// The package's kernels, on the threads of the machine's pool.
    case cpu
    /// f32 through OpenBLAS; its bits depend on rows and threads.
    case blas
    /// An OpenCL device, by its index in `Machine.openCLDevices()`; see `OpenCLOptions.routes`.
    case openCL(Int)

    /// "cpu", "blas", "opencl:0".
    public var description: String { switch self { case .cpu: "cpu"; case .blas: "blas"; case .openCL(let index): "opencl:\(index)" } }
  }

  /// Layer `layer` of a checkpoint.
  ///
  /// - Parameters:
  ///   - layout: how the weights lie in memory on the CPU, which changes no result; nil for panels where they take an eighth more memory at most.
  ///   - packedCache: where panels are kept for the next time; nil to pack them every time.
  ///   - placement: which NUMA nodes and OpenCL devices hold and compute the experts; nodes change no result. Nil for weights in one place.
  ///   - nonFinite: what happens to a token with NaN or +inf among its router logits; `RouterOutput.nonFiniteTokens` counts them.
  /// - Throws: `MoEError` naming the key, tensor or layer at fault.
  public init(
    _ checkpoint: Checkpoint, layer: Int, on machine: Machine, device: Device = .cpu, activations: ActivationPrecision = .float,
    layout: WeightLayout? = nil, packedCache: PackedCache? = nil, placement: Placement? = nil,
    nonFinite: RouterConfiguration.NonFinite = .propagate
  ) throws(MoEError) {
    let model = try MoEModel(checkpoint)
    try self.init(
      model, block: try model.block(layer: layer), on: machine, device: device, activations: activations, layout: layout,
      packedCache: packedCache, placement: placement, nonFinite: nonFinite)
  }

  /// One block of a model.
  ///
  /// - Parameters:
  ///   - layout: how the weights lie in memory on the CPU; nil for panels where they take an eighth more memory at most.
  ///   - packedCache: where panels are kept for the next time; nil to pack them every time.
  ///   - placement: which NUMA nodes and OpenCL devices hold and compute the experts; nodes change no result. Nil for weights in one place.
  ///   - nonFinite: what happens to a token with NaN or +inf among its router logits.
  /// - Throws: `MoEError` naming the key or tensor at fault.
  public init(
    _ model: MoEModel, block: MoEBlock, on machine: Machine, device: Device = .cpu, activations: ActivationPrecision = .float,
    layout: WeightLayout? = nil, packedCache: PackedCache? = nil, placement: Placement? = nil,
    nonFinite: RouterConfiguration.NonFinite = .propagate
  ) throws(MoEError) {
    var configuration = try model.configuration(of: block), weights = try model.weights(of: block, kernels: machine.kernels)
    configuration.router.nonFinite = nonFinite
    weights.router = weights.router.treating(nonFinite: nonFinite)
    try self.init(
      configuration: configuration, weights: weights, on: machine, device: device, activations: activations, layout: layout,
      packedCache: packedCache, placement: placement)
  }

  /// A layer from parts; the policy for non-finite logits is the router's.
  ///
  /// - Throws: `MoEError.shape` when the weights are not those of the configuration or there is no memory to pack them, `.machine` when the
  ///   device is not built in or a placement is given to another one, `.placement` for a placement of another machine or layer, `.openCL` when an
  ///   OpenCL device is not there, has no room for the weights or cannot run the kernels.
  public init(
    configuration: MoEConfiguration, weights: LayerWeights, on machine: Machine, device: Device = .cpu, activations: ActivationPrecision = .float,
    layout: WeightLayout? = nil, packedCache: PackedCache? = nil, placement: Placement? = nil
  ) throws(MoEError) {
    try MoEError.shaping { () throws(ShapeError) in try weights.check(configuration) }
    self.configuration = configuration
    self.machine = machine
    self.device = device
    if let placement {
      try placement.check(on: machine, experts: weights.experts.count)
      guard device == .cpu, layout != .rows else { throw .machine("a placement is one of panels on the CPU, not of rows or for \(device)") }
    }
    self.placement = placement
    var weights = weights, report: PackedCache.Report?, notes: [String] = []
    switch device {
    case .cpu:
      let cpu = CPUBackend(kernels: machine.kernels, pool: machine.pool, precision: activations)
      let placed = machine.topology.nodes.count > 1 ? placement : nil
      try MoEError.shaping { () throws(ShapeError) in
        if let placed {
          (weights, report, notes) = try weights.placed(by: cpu, placed, layout, packedCache, on: machine)
        } else if layout != .rows {
          (weights, report) = try weights.inPanels(by: cpu, layout, packedCache, placement)
        }
      }
      backend = if let placement, !placement.devices.isEmpty { try weights.joined(cpu, placement, on: machine.openCL) } else { cpu }
    case .blas:
      guard let blas = BLASBackend(kernels: machine.kernels, pool: machine.pool) else {
        throw .machine("the package was built without the trait OpenBLAS")
      }
      backend = blas
    case .openCL(let index):
      weights = weights.inOnePlace
      backend = try MoEError.computing { () throws(OpenCLError) in
        try machine.openCL.backend(on: index, weights.banks, weights.projections, activations, router: weights.routerOfDevice)
      }
    }
    (self.weights, self.packedCache, placementNotes) = (weights, report, notes)
  }

  /// Width of the rows in and out.
  public var hidden: Int { configuration.hidden }

  /// What activations are rounded to for some product of the layer's experts; `float` where they are for none, whatever was asked for.
  public var activations: ActivationPrecision {
    let routed = backend.precision(of: weights.experts)
    return routed == .float ? weights.shared.map(backend.precision) ?? .float : routed
  }

  /// The layer's output for hidden states [tokens, hidden].
  ///
  /// - Throws: `MoEError.rows` for another width; `.routing` when the router's policy refuses a logit.
  public func callAsFunction(_ hiddenStates: HiddenStates) throws(MoEError) -> HiddenStates {
    var output = hiddenStates
    try hiddenStates.values.withUnsafeBufferPointer { (input) throws(MoEError) in
      try output.values.withUnsafeMutableBufferPointer { (out) throws(MoEError) in
        guard hiddenStates.tokens > 0 else { return }
        let count = hiddenStates.tokens, columns = hiddenStates.hidden
        let (from, to) = try MoEError.shaping { () throws(ShapeError) in
          (try RowView(input.baseAddress!, count: count, columns: columns), try MutableRowView(out.baseAddress!, count: count, columns: columns))
        }
        try forward(from, into: to)
      }
    }
    return output
  }

  /// The layer's output for rows of the caller's memory, written to rows of the caller's memory; the two must not overlap.
  ///
  /// - Parameters:
  ///   - input: [tokens, hidden].
  ///   - output: [tokens, hidden]; overwritten.
  ///   - routing: precomputed experts and weights; nil to run the router.
  ///   - sequenceLengths: tokens of each sequence, for routers that count capacity by sequence; nil for one sequence.
  ///   - workspace: memory of the call; nil for one that the machine keeps.
  /// - Returns: the experts and weights used; while they are held, the next call with the workspace makes new arrays.
  /// - Throws: `MoEError.rows` for other shapes; `.routing` for assignments that do not fit; `.workspaceInUse`; `.openCL` when a device fails,
  ///   after which the output holds nothing.
  @discardableResult
  public func forward(
    _ input: RowView, into output: MutableRowView, routing: RouterOutput? = nil, sequenceLengths: [Int]? = nil, workspace: Workspace? = nil
  ) throws(MoEError) -> RouterOutput {
    try forward(input, into: output, routing: routing, sequenceLengths: sequenceLengths, workspace: workspace) { _ in }
  }

  /// As the public `forward`; `finished` is called after each stage, for taking its time.
  package func forward(
    _ input: RowView, into output: MutableRowView, routing: RouterOutput? = nil, sequenceLengths: [Int]? = nil,
    workspace: Workspace? = nil, finished: (LayerStage) -> Void
  ) throws(MoEError) -> RouterOutput {
    let memory = try machine.claim(workspace)
    defer { machine.release(memory, isIdle: workspace == nil) }
    return try forward(input, into: output, routing: routing, sequenceLengths: sequenceLengths, in: memory, finished: finished)
  }

  /// As above, in a workspace that was claimed.
  func forward(
    _ input: RowView, into output: MutableRowView, routing: RouterOutput?, sequenceLengths: [Int]?, in memory: Workspace,
    finished: (LayerStage) -> Void
  ) throws(MoEError) -> RouterOutput {
    try check(input, output, routing)
    let hidden = FloatRows(widening: input, in: memory.hidden, on: machine.pool)
    let result = FloatRows(receiving: output, in: memory.result)
    if routing == nil, sequenceLengths == nil, hidden.count > 0, let device = backend as? any RoutingBackend, let most = device.mostRouted {
      let routing = try route(hidden, most: most, into: result, in: memory, by: device)
      LayerStage.allCases.forEach(finished)
      result.finish(weights.outputBias, into: output, on: machine.pool)
      return routing
    }
    let routing = if let routing { routing } else { try route(hidden, sequenceLengths: sequenceLengths, in: memory) }
    finished(.route)
    memory.routed.plan.sort(routing, experts: weights.experts.count)
    if weights.shared != nil { memory.shared.plan.sort(everyToken: sharedCoefficients(hidden, in: memory)) }
    finished(.plan)
    let input = try MoEError.computing { () throws(OpenCLError) in try project(hidden, memory) }
    let routed = memory.routed.pass(weights.experts, input: input)
    let shared = weights.shared.map { memory.shared.pass($0, input: hidden) }
    try MoEError.computing { () throws(OpenCLError) in try backend.gateUp(routed, shared, memory.stages, feedsDown: true) }
    finished(.gateUp)
    try MoEError.computing { () throws(OpenCLError) in try downCombined(routed, shared, into: result, memory) }
    finished(.down)
    result.finish(weights.outputBias, into: output, on: machine.pool)
    return routing
  }

  /// The rows that the routed experts read: the layer's own, or their projection into the experts' width.
  private func project(_ hidden: FloatRows, _ memory: Workspace) throws(OpenCLError) -> FloatRows {
    guard let latentIn = weights.latentIn else { return hidden }
    let latent = FloatRows(count: hidden.count, columns: latentIn.rows, in: memory.latent)
    try backend.project(latentIn, hidden, into: latent, memory.stages)
    return latent
  }

  /// The sum of all experts' rows; latent experts' are projected before the shared expert's are added.
  private func downCombined(_ routed: ExpertPass, _ shared: ExpertPass?, into result: FloatRows, _ memory: Workspace) throws(OpenCLError) {
    guard let latentOut = weights.latentOut else { return try backend.downCombined(routed, shared, into: result, adding: false, memory.stages) }
    let combined = FloatRows(count: result.count, columns: latentOut.columns, in: memory.combined)
    try backend.downCombined(routed, nil, into: combined, adding: false, memory.stages)
    try backend.project(latentOut, combined, into: result, memory.stages)
    if let shared { try backend.downCombined(shared, nil, into: result, adding: true, memory.stages) }
  }

  private func check(_ input: RowView, _ output: MutableRowView, _ routing: RouterOutput?) throws(MoEError) {
    guard input.columns == hidden else { throw .rows(expected: [input.count, hidden], found: [input.count, input.columns]) }
    guard output.columns == hidden, output.count == input.count else {
      throw .rows(expected: [input.count, hidden], found: [output.count, output.columns])
    }
    guard let routing else { return }
    guard routing.tokens == input.count, routing.experts == configuration.router.experts else {
      throw .routing(
        .shape("assignments of \(routing.tokens) tokens to \(routing.experts) experts for \(input.count) tokens and \(configuration.router.experts) experts"))
    }
  }
}

extension MoELayer {
  /// The same layer with other weights of the same configuration, in the layout they have: for taking parts out and comparing.
  ///
  /// - Throws: `MoEError.shape` when the weights are not those of the configuration; `.openCL` when they do not fit a device.
  public func replacing(_ weights: LayerWeights) throws(MoEError) -> MoELayer {
    try MoEError.shaping { () throws(ShapeError) in try weights.check(configuration) }
    var backend = backend, weights = weights
    switch device {
    case .cpu:
      if let joint = backend as? JointBackend, let placement {
        backend = try weights.joined(joint.host, placement, on: machine.openCL, former: joint)
      }
    case .blas: break
    case .openCL(let index):
      weights = weights.inOnePlace
      backend = try MoEError.computing { () throws(OpenCLError) in
        try machine.openCL.backend(on: index, weights.banks, weights.projections, router: weights.routerOfDevice, former: [backend])
      }
    }
    return MoELayer(self, weights: weights, placement: placement, backend: backend)
  }

  init(_ layer: MoELayer, weights: LayerWeights, placement: Placement?, backend: any GroupedGEMMBackend) {
    configuration = layer.configuration
    self.weights = weights
    (packedCache, self.placement, placementNotes) = (nil, placement, layer.placementNotes)
    device = layer.device
    self.backend = backend
    machine = layer.machine
  }
}
