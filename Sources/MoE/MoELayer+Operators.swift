// The stages of a layer one by one, for callers that compose them themselves.

public import MoEDispatch
internal import MoEExperts
public import MoEFamilies
internal import MoEGroupedGEMM
internal import MoEPlacement
public import MoERouting
internal import MoETensors

extension MoELayer {
  /// The dispatch plan of `routing`: assignments sorted by expert, virtual experts left out.
  ///
  /// - Throws: `MoEError.routing` when the assignments are for another number of experts.
  public func plan(_ routing: RouterOutput) throws(MoEError) -> DispatchPlan {
    guard routing.experts == configuration.router.experts else {
      throw .routing(.shape("assignments to \(routing.experts) experts for \(configuration.router.experts) experts"))
    }
    return DispatchPlan(routing, experts: weights.experts.count)
  }

  /// First grouped GEMM with activation: act(gate x) * up x for every row of the plan, [plan.rows, intermediate].
  ///
  /// - Parameters:
  ///   - plan: a plan of this layer.
  ///   - hiddenStates: [plan.tokenCount, expert width]: the layer's input, projected where the experts are latent.
  /// - Throws: `MoEError.rows` for other shapes; `.openCL` when a device fails.
  public func gateUp(_ plan: DispatchPlan, _ hiddenStates: HiddenStates) throws(MoEError) -> HiddenStates {
    try check(plan, hiddenStates, rows: plan.tokenCount, columns: weights.experts.hidden)
    let activated = FloatRows(count: plan.rows, columns: weights.experts.intermediate), memory = StageMemory()
    let pass = pass(plan, input: hiddenStates.rows, activated: activated)
    try MoEError.computing { () throws(OpenCLError) in try backend.gateUp(pass, nil, memory, feedsDown: false) }
    withExtendedLifetime(memory) {}
    return activated.states
  }

  /// Second grouped GEMM: down a for every row of the plan, [plan.rows, expert width].
  ///
  /// - Parameters:
  ///   - plan: the plan that `gateUp` was given.
  ///   - activated: [plan.rows, intermediate].
  /// - Throws: `MoEError.rows` for other shapes; `.openCL` when a device fails.
  public func down(_ plan: DispatchPlan, _ activated: HiddenStates) throws(MoEError) -> HiddenStates {
    try check(plan, activated, rows: plan.rows, columns: weights.experts.intermediate)
    let outputs = FloatRows(count: plan.rows, columns: weights.experts.hidden), memory = StageMemory()
    let pass = pass(plan, activated: activated.rows)
    try MoEError.computing { () throws(OpenCLError) in try backend.down(pass, into: outputs, memory) }
    withExtendedLifetime(memory) {}
    return outputs.states
  }

  /// Sum of every token's expert rows by their coefficients, in order of expert, and its identity experts' share, [tokens, expert width].
  ///
  /// - Parameters:
  ///   - plan: the plan that `gateUp` was given.
  ///   - outputs: [plan.rows, expert width].
  ///   - hiddenStates: what `gateUp` was given.
  /// - Throws: `MoEError.rows` for other shapes; `.openCL` when a device fails.
  public func combine(_ plan: DispatchPlan, _ outputs: HiddenStates, _ hiddenStates: HiddenStates) throws(MoEError) -> HiddenStates {
    try check(plan, outputs, rows: plan.rows, columns: weights.experts.hidden)
    try check(plan, hiddenStates, rows: plan.tokenCount, columns: weights.experts.hidden)
    let output = FloatRows(count: plan.tokenCount, columns: weights.experts.hidden)
    let pass = pass(plan, input: hiddenStates.rows), rows = outputs.rows
    try MoEError.computing { () throws(OpenCLError) in try backend.combine(pass, rows, into: output, adding: false) }
    return output.states
  }

  private func check(_ plan: DispatchPlan, _ states: HiddenStates, rows: Int, columns: Int) throws(MoEError) {
    guard plan.experts == weights.experts.count else {
      throw .routing(.shape("a plan for \(plan.experts) experts, the layer has \(weights.experts.count)"))
    }
    guard states.tokens == rows, states.hidden == columns else { throw .rows(expected: [rows, columns], found: [states.tokens, states.hidden]) }
  }

  /// A pass with the rows that one stage touches.
  private func pass(_ plan: DispatchPlan, input: FloatRows? = nil, activated: FloatRows? = nil) -> ExpertPass {
    let none = FloatRows(count: 0, columns: 0)
    return ExpertPass(weights.experts, plan, input: input ?? none, activated: activated ?? none, in: PassMemory())
  }
}

extension HiddenStates {
  /// A copy of the values as rows.
  fileprivate var rows: FloatRows {
    let copy = FloatRows(count: tokens, columns: hidden)
    values.withUnsafeBufferPointer { if let first = $0.baseAddress { copy.base.update(from: first, count: values.count) } }
    return copy
  }
}

extension FloatRows {
  /// A copy of contiguous rows as values.
  fileprivate var states: HiddenStates {
    HiddenStates(unchecked: Array(UnsafeBufferPointer(start: base, count: count * columns)), tokens: count, hidden: columns)
  }
}
