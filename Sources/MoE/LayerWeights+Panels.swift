// The weights of a layer in the layout that the CPU kernels read fastest.

internal import MoEExperts
internal import MoEFamilies
internal import MoEGroupedGEMM

extension LayerWeights {
  /// The same weights with every matrix in panels that takes them.
  func inPanels(by backend: CPUBackend) -> LayerWeights {
    var matrices: [PackedMatrix] = []
    _ = replacingMatrices { matrices.append($0); return $0 }
    var packed = backend.inPanels(matrices)[...]
    return replacingMatrices { _ in packed.removeFirst() }
  }

  private func replacingMatrices(_ replace: (PackedMatrix) -> PackedMatrix) -> LayerWeights {
    var weights = self
    weights.experts = experts.replacingMatrices(replace)
    weights.shared = shared?.replacingMatrices(replace)
    weights.latentIn = latentIn.map(replace)
    weights.latentOut = latentOut.map(replace)
    return weights
  }
}
