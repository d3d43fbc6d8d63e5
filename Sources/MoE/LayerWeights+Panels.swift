// The weights of a layer in the layout that the CPU kernels read fastest.

internal import MoEExperts
internal import MoEFamilies
internal import MoEGroupedGEMM

extension LayerWeights {
  /// The same weights with every matrix in panels that takes them; nil for those that panels grow by an eighth at most.
  func inPanels(by backend: CPUBackend, _ layout: WeightLayout?) -> LayerWeights {
    var matrices: [PackedMatrix] = []
    _ = replacingMatrices { matrices.append($0); return $0 }
    var packed = backend.inPanels(matrices, layout)[...]
    return replacingMatrices { _ in packed.removeFirst() }
  }
}
