// Placements that follow the loads: when to plan anew, and when a new plan is worth its copies.

/// Statistics of layers in use and the placements in force. Asked between calls it proposes other placements, seldom.
public struct Adaptation: Sendable {
  /// Loads so far.
  public private(set) var statistics: LoadStatistics
  /// Placements in force, a layer each.
  public private(set) var placements: [Placement]
  private let planner: Planner
  private let sizes: LayerSizes
  private let budget: PlanningBudget
  private let horizon: Int
  private var planned = 0
  private var calls = 0
  private var tokens = 0

  /// - Parameters:
  ///   - placements: those in force, a layer each.
  ///   - budget: as the placements were planned with; tokens of a step are counted from the calls.
  ///   - horizon: windows of the statistics for which loads are expected to stay as they are.
  /// - Throws: `PlacementError` when the placements are not of these layers and this machine.
  public init(
    _ planner: Planner, _ sizes: LayerSizes, placements: [Placement], statistics: LoadStatistics, budget: PlanningBudget = PlanningBudget(),
    horizon: Int = 16
  ) throws(PlacementError) {
    guard placements.count == statistics.loads.count, horizon > 0 else {
      throw .statistics("\(statistics.loads.count) layers for \(placements.count) placements, a horizon of \(horizon) windows")
    }
    _ = try planner.seconds(of: placements, sizes, loads: statistics.loads, tokens: 1)
    self.planner = planner
    self.sizes = sizes
    self.placements = placements
    self.statistics = statistics
    self.budget = budget
    self.horizon = horizon
  }

  /// Takes in one call of a layer, or what several had together: see `LoadStatistics.record`.
  public mutating func record(layer: Int, offsets: [Int], tokens more: Int, calls: Int = 1) {
    statistics.record(layer: layer, offsets: offsets, tokens: more)
    self.calls += calls
    tokens += more
  }

  /// A plan to change to, at most once a window of all layers and only when the change pays for itself within the horizon.
  ///
  /// - Throws: `PlacementError`.
  public mutating func proposal() throws(PlacementError) -> PlacementPlan? {
    let windows = statistics.windows.min() ?? 0
    guard windows > planned else { return nil }
    var budget = budget
    budget.tokens = max(1, tokens / max(1, calls))
    let steps = horizon * statistics.window / budget.tokens
    (planned, calls, tokens) = (windows, 0, 0)
    return try planner.replanned(placements, sizes, loads: statistics.loads, budget: budget, horizon: steps)
  }

  /// Tells which placement of a layer is in force now.
  public mutating func adopt(_ placement: Placement, layer: Int) { placements[layer] = placement }

  /// Tells that a proposal could not be followed: the next one comes after the horizon.
  public mutating func rest() { planned = (statistics.windows.min() ?? 0) + horizon }
}
