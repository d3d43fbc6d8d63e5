// The weights of a layer on the CPU and on the devices of a placement.

internal import MoEExperts
internal import MoEFamilies
internal import MoEGroupedGEMM
internal import MoEOpenCL
internal import MoEPlacement

extension LayerWeights {
  /// A backend that computes experts on the devices where `placement` has them, and the others by `host`.
  ///
  /// - Parameter former: a backend that may hold some of the experts already; what it knows of a bank is of the same placement.
  /// - Throws: `MoEError.placement` for another number of experts, `.openCL` when a device has no room or cannot run the kernels.
  func joined(_ host: CPUBackend, _ placement: Placement, on openCL: OpenCLContexts, former: JointBackend? = nil) throws(MoEError) -> JointBackend {
    guard placement.experts.count == experts.count else { throw .placement(.experts(planned: placement.experts.count, layer: experts.count)) }
    let indices = placement.devices
    func divided(_ bank: ExpertBank, _ homes: [Placement.Home]) -> DividedBank {
      former?.divided(bank)
        ?? DividedBank(bank, homes: homes.map { $0.deviceIndex.flatMap { indices.firstIndex(of: $0) } }, devices: indices.count)
    }
    let banks = [divided(experts, placement.experts)] + (shared.map { [divided($0, [placement.sharedHome])] } ?? [])
    let devices = try MoEError.computing { () throws(OpenCLError) in
      try indices.enumerated().map { (place, index) throws(OpenCLError) in
        try openCL.backend(on: index, banks.compactMap { $0.parts[1 + place].bank }, [], host.precision, former: former?.devices ?? [])
      }
    }
    return JointBackend(host, devices, banks)
  }

  /// The weights of which experts on devices are as published; the bank of the others is another one too.
  ///
  /// - Throws: `MoEError.placement` when an expert lies in panels alone.
  func published(for placement: Placement) throws(MoEError) -> LayerWeights {
    for (expert, home) in zip(banks.flatMap(\.experts), placement.experts + [placement.sharedHome]) where home.deviceIndex != nil {
      guard expert.matrices.allSatisfy({ $0.published != nil }) else {
        throw .placement(.memory(["an expert for device \(home.deviceIndex!) is packed, and its published weights lie in no mapped file"]))
      }
    }
    var isHere = holdings(placement) { home, _ in [0..<(home.deviceIndex == nil ? 1 : 0)] }[...]
    return replacingMatrices(on: experts.nodes.map { ($0, shared?.nodes) }) { matrix in isHere.removeFirst()[0].isEmpty ? matrix.published! : matrix }
  }
}
