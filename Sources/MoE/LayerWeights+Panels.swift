// The weights of a layer in the layout that the CPU kernels read fastest.

internal import MoEExperts
internal import MoEFamilies
internal import MoEGroupedGEMM
internal import MoEPlacement
internal import MoETensors

extension LayerWeights {
  /// The same weights with every matrix in panels that takes them, from `cache` where one is given, and what that did.
  ///
  /// - Parameters:
  ///   - layout: nil for panels where they grow a matrix by an eighth at most.
  ///   - placement: whose experts on devices stay as they are; nil where all are the CPU's.
  ///   - former: the placement that the weights have.
  /// - Throws: `ShapeError` when there is no memory for the panels.
  func inPanels(
    by backend: CPUBackend, _ layout: WeightLayout?, _ cache: PackedCache?, _ placement: Placement?, after former: Placement? = nil
  ) throws(ShapeError) -> (weights: LayerWeights, report: PackedCache.Report?) {
    let plan = planInOnePlace(layout, placement, after: former)
    guard plan.byteCount > 0 else { return (self, nil) }
    var packed: ArraySlice<PackedMatrix>, report: PackedCache.Report?
    if let cache {
      let cached = try cache.panels(of: plan, by: backend)
      (packed, report) = (cached.matrices[...], cached.report)
    } else {
      let buffer = try backend.pack(plan)
      packed = plan.matrices(at: buffer.bytes.baseAddress!, owner: buffer)[...]
    }
    return (replacingMatrices { _ in packed.removeFirst() }, report)
  }

  /// Panels of all matrices that take them, but for those of experts on devices; `former` is the placement that the weights have.
  func planInOnePlace(_ layout: WeightLayout?, _ placement: Placement?, after former: Placement? = nil) -> PanelPlan {
    PanelPlan(
      matrices, layout, holdings: placement.map { holdings($0) { $0.deviceIndex == nil ? [0..<$1] : [] } },
      keepsPublished: Self.keepsPublished(placement, former))
  }

  /// True where panels keep what they were packed from: a placement has experts on devices, to which others may move.
  static func keepsPublished(_ placements: Placement?...) -> Bool { placements.contains { $0?.devices.isEmpty == false } }
}
