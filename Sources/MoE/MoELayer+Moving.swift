// The same layer with its experts elsewhere.

internal import MoEExperts
public import MoEFamilies
internal import MoEGroupedGEMM
public import MoEPlacement

extension MoELayer {
  /// The layer under another placement; this one stays as it is, and its calls go on meanwhile.
  ///
  /// What lies on a node that is to have the same rows is shared by the two; the rest is copied by the calling thread alone. Pages that only this
  /// layer has go back to the system with it, so that both together take what this one takes and what is copied. On a machine of one node it is
  /// the layer itself.
  ///
  /// - Throws: `MoEError.placement` when the placement is one of another machine or layer, or the system does not put what is copied where it
  ///   belongs; `.machine` for layers, and placements, with experts on devices; `.shape` when there is no memory.
  public func moved(to placement: Placement) throws(MoEError) -> MoELayer {
    guard device == .cpu else { throw .machine("a placement is one on the CPU, not for \(device)") }
    try MoEError.placing { () throws(PlacementError) in try placement.check(on: machine.topology, experts: weights.experts.count) }
    guard self.placement?.devices.isEmpty != false, placement.devices.isEmpty else { throw .machine("experts on devices do not move") }
    guard machine.topology.nodes.count > 1 else { return self }
    let alone: WorkerPool
    do { alone = try WorkerPool(threads: 1) } catch { throw .machine("\(error)") }
    let copier = CPUBackend(kernels: machine.kernels, pool: alone)
    let moved = try MoEError.shaping { () throws(ShapeError) in
      try weights.placed(by: copier, placement, nil, nil, on: machine, after: self.placement)
    }
    guard moved.notes.isEmpty else { throw .placement(.memory(moved.notes)) }
    return MoELayer(self, weights: moved.weights, placement: placement, backend: backend)
  }

  /// What planning has to know of the layer's experts.
  public var sizes: LayerSizes {
    func bytes(_ expert: Expert) -> Int { expert.matrices.reduce(0) { $0 + ($1.layout == .panels ? $1.panelBytes : $1.publishedBytes) } }
    let activationBytes = switch activations { case .float: 4; case .bfloat16: 2; case .int8: 1 }
    return LayerSizes(
      hidden: weights.experts.hidden, intermediate: weights.experts.intermediate, topK: configuration.topK,
      expertBytes: weights.experts.experts.map(bytes), sharedBytes: weights.shared.map { bytes($0.experts[0]) } ?? 0,
      activationBytes: activationBytes)
  }
}
