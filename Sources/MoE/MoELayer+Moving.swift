// The same layer with its experts elsewhere.

internal import MoEExperts
public import MoEFamilies
internal import MoEGroupedGEMM
public import MoEPlacement

extension MoELayer {
  /// The layer under another placement; this one stays as it is, and its calls go on meanwhile.
  ///
  /// What lies on a node that is to have the same rows is shared by the two, and what lies on a device that is to have it. The rest is copied, or
  /// packed from the published weights, by the calling thread alone, and uploaded in pieces between which a device does other calls' work. What
  /// only this layer has is given back with it, so that both together take what this one takes and what is copied.
  ///
  /// - Throws: `MoEError.placement` when the placement is one of another machine or layer, the system does not put what is copied where it
  ///   belongs, or an expert for a device lies in panels alone (published weights are kept where they lie in a mapped file, or experts were on
  ///   devices when it was packed); `.openCL` when a device has no room or is lost; `.machine` for layers that are not on the CPU;
  ///   `.shape` when there is no memory.
  public func moved(to placement: Placement) throws(MoEError) -> MoELayer {
    guard device == .cpu else { throw .machine("a placement is one on the CPU, not for \(device)") }
    try placement.check(on: machine, experts: weights.experts.count)
    let alone: WorkerPool
    do { alone = try WorkerPool(threads: 1) } catch { throw .machine("\(error)") }
    let copier = CPUBackend(kernels: machine.kernels, pool: alone), source = try weights.published(for: placement)
    let moved = try MoEError.shaping { () throws(ShapeError) -> (weights: LayerWeights, notes: [String]) in
      guard machine.topology.nodes.count > 1 else {
        return (try source.inPanels(by: copier, nil, nil, placement, after: self.placement).weights, [])
      }
      let placed = try source.placed(by: copier, placement, nil, nil, on: machine, after: self.placement)
      return (placed.weights, placed.notes)
    }
    guard moved.notes.isEmpty else { throw .placement(.memory(moved.notes)) }
    let former = backend as? JointBackend, host = former?.host ?? backend
    let backend = placement.devices.isEmpty ? host : try moved.weights.joined(host as! CPUBackend, placement, on: machine.openCL, former: former)
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

extension Placement {
  /// Demands that the placement is one for a layer of this many experts on this machine and its devices.
  ///
  /// - Throws: `MoEError.placement`, `.openCL` when devices cannot be listed.
  func check(on machine: Machine, experts: Int) throws(MoEError) {
    let count = devices.isEmpty ? 0 : try MoEError.computing { () throws(OpenCLError) in try machine.openCLDevices().devices.count }
    try MoEError.placing { () throws(PlacementError) in try check(on: machine.topology, experts: experts, devices: count) }
  }
}
