// The weights of a layer on the CPU and on the devices of a placement.

internal import MoEExperts
internal import MoEFamilies
internal import MoEGroupedGEMM
internal import MoEOpenCL
internal import MoEPlacement

extension LayerWeights {
  /// A backend that computes experts on the devices where `placement` has them, and the others by `host`.
  ///
  /// - Parameter former: a backend for the same placement that may hold some of the experts already.
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
        try openCL.backend(on: index, banks.compactMap { $0.parts[1 + place].bank }, [], host.precision, former: former?.devices[place])
      }
    }
    return JointBackend(host, devices, banks)
  }
}
