// The forward pass on a device that routes: up with the rows, down with their sums and choices, no wait between.

internal import MoEFamilies
internal import MoEGroupedGEMM
internal import MoERouting
internal import MoETensors

extension MoELayer {
  /// Writes the sums of all experts' rows to `result`, and returns the experts and weights that the device chose.
  func route(
    _ hidden: FloatRows, most: Int, into result: FloatRows, in memory: Workspace, by device: any RoutingBackend
  ) throws(MoEError) -> RouterOutput {
    let experts = configuration.router.experts, choices: UnsafeMutablePointer<Int32> = memory.choices.room(for: hidden.count * (2 * most + 1))
    memory.routed.plan.sort(RouterOutput(), experts: weights.experts.count)
    if weights.shared != nil { memory.shared.plan.sort(everyToken: sharedCoefficients(hidden, in: memory)) }
    let routed = memory.routed.pass(weights.experts, input: hidden), shared = weights.shared.map { memory.shared.pass($0, input: hidden) }
    try MoEError.computing { () throws(OpenCLError) in try device.routedCombined(routed, shared, into: result, choices: choices) }
    memory.routing.refill(experts: experts, tokens: hidden.count, most: most, from: choices)
    memory.routed.plan.sort(memory.routing, experts: weights.experts.count)
    return memory.routing
  }
}

extension LayerWeights {
  /// What a device may route by; nil for latent experts, whose rows go through the host.
  var routerOfDevice: Router? { latentIn == nil ? router : nil }
}
