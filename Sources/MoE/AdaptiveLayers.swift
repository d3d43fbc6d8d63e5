// The layers of a model with experts that move while they are called.

public import MoEFamilies
public import MoEPlacement
public import MoERouting
public import MoETensors

/// Layers whose placements change between calls: by themselves, as loads change, or as a caller plans.
///
/// Every call is one of the layer in force when it begins, and counts the rows of each expert. When every layer has had a window of tokens, a thread
/// of the lowest priority plans anew (`Adaptation`), and where that pays it moves experts, a layer at a time (`MoELayer.moved`). Results are
/// those of the placement in force, whatever was before: the same bits under all on nodes alone. A move that fails leaves what is in force, and
/// `notes` tells.
///
/// The thread ends with the object, after the layer that it is at. A forked child has to make an object of its own.
public final class AdaptiveLayers: Sendable {
  private let layers: LayersInUse

  /// - Parameters:
  ///   - layers: layers on one machine, placed.
  ///   - planner: of that machine and its devices; nil for placements that change by `move` alone. By one for a single memory nothing ever moves.
  ///   - budget: as the placements were planned with.
  ///   - window: tokens of every layer from one plan to the next.
  ///   - horizon: windows for which loads are expected to stay as they are.
  /// - Throws: `MoEError.placement` when the placements are not of the planner's machine, or the layers not of equal shapes; `.machine` for a
  ///   layer without a placement, and when the system refuses the thread.
  public init(
    _ layers: [MoELayer], planner: Planner?, budget: PlanningBudget = PlanningBudget(), window: Int = 512, horizon: Int = 16
  ) throws(MoEError) {
    let isFollowing = planner.map { $0.machine.nodes.count > 1 || !$0.machine.memories.isEmpty || !$0.machine.devices.isEmpty } ?? false
    self.layers = LayersInUse(layers, window: isFollowing ? window : nil)
    guard let planner, isFollowing else { return }
    var placements: [Placement] = []
    for (index, layer) in layers.enumerated() {
      guard let placement = layer.placement else { throw .machine("layer \(index) has no placement") }
      placements.append(placement)
    }
    let adaptation = try MoEError.placing { () throws(PlacementError) in
      let sizes = try Self.sizes(of: layers)
      return try Adaptation(
        planner, sizes, placements: placements,
        statistics: LoadStatistics(layers: layers.count, experts: sizes.experts, window: window), budget: budget, horizon: horizon)
    }
    let followed = self.layers
    do { try SystemThread(stackBytes: 4 << 20) { followed.follow(adaptation) }.detach() } catch { throw .machine("\(error)") }
  }

  deinit { layers.end() }

  /// The sizes of all, with the larger bytes where formats differ.
  private static func sizes(of layers: [MoELayer]) throws(PlacementError) -> LayerSizes {
    var sizes = layers[0].sizes
    for other in layers.dropFirst().map(\.sizes) {
      guard (other.hidden, other.intermediate, other.topK, other.experts) == (sizes.hidden, sizes.intermediate, sizes.topK, sizes.experts) else {
        throw .sizes("both \(sizes.experts) and \(other.experts) experts, \(sizes.hidden) x \(sizes.intermediate) and \(other.hidden) x \(other.intermediate)")
      }
      sizes.expertBytes = zip(sizes.expertBytes, other.expertBytes).map(max)
      sizes.sharedBytes = max(sizes.sharedBytes, other.sharedBytes)
    }
    return sizes
  }

  /// True while the thread waits for loads.
  package var isWaiting: Bool { layers.isWaiting }

  /// The layer in force.
  public subscript(layer: Int) -> MoELayer { layers[layer] }

  /// Why experts were not moved, the last time that they were to be; empty where they were.
  public var notes: [String] { layers.notes }

  /// As `MoELayer.forward`, of the layer in force.
  @discardableResult
  public func forward(
    layer: Int, _ input: RowView, into output: MutableRowView, routing: RouterOutput? = nil, sequenceLengths: [Int]? = nil,
    workspace: Workspace? = nil
  ) throws(MoEError) -> RouterOutput {
    let use = layers.enter(layer)
    defer { layers.leave(use, layer) }
    let machine = use.layer.machine, memory = try machine.claim(workspace)
    defer { machine.release(memory, isIdle: workspace == nil) }
    let routing = try use.layer.forward(
      input, into: output, routing: routing, sequenceLengths: sequenceLengths, in: memory, finished: { _ in })
    layers.record(memory.routed.plan.offsets, of: memory.routed.plan.activeExperts, tokens: input.count, layer)
    return routing
  }

  /// Moves a layer's experts on the calling thread, while calls go on, and returns when no call reads what is given back.
  ///
  /// - Throws: as `MoELayer.moved`; the layer is then as it was.
  public func move(_ layer: Int, to placement: Placement) throws(MoEError) { try layers.move(layer, to: placement) }
}
