// One step's experts split between CPU and a device, so that the later of the two is done as early as possible.

/// What an expert costs in one place: a constant and a part for each row, in any unit of time.
public struct ExpertCost: Sendable, Hashable {
  public var constant: Double
  public var perRow: Double

  public init(constant: Double, perRow: Double) {
    self.constant = constant
    self.perRow = perRow
  }

  public func callAsFunction(_ rows: Int) -> Double { constant + perRow * Double(rows) }
}

/// Costs of a layer's experts on CPU and device.
public struct HybridCosts: Sendable, Hashable {
  public var cpu: ExpertCost
  public var device: ExpertCost
  /// Copying one expert to the device.
  public var transfer: Double
  /// What the CPU's first expert costs more.
  public var firstOnCPU: Double
  /// Work that the device has anyway, such as the shared expert.
  public var preload: Double

  public init(cpu: ExpertCost, device: ExpertCost, transfer: Double, firstOnCPU: Double = 0, preload: Double = 0) {
    self.cpu = cpu
    self.device = device
    self.transfer = transfer
    self.firstOnCPU = firstOnCPU
    self.preload = preload
  }

  /// Rows from which on an expert that is not resident is done sooner by copying it; infinity when it never is.
  public var breakEvenRows: Double {
    let gain = cpu.perRow - device.perRow
    return gain > 0 ? max(0, (transfer + device.constant - cpu.constant) / gain) : .infinity
  }
}

/// Where each needed expert is computed.
public struct HybridSplit: Sendable, Hashable {
  /// True for experts on the device, by their place in the rows given.
  public let onDevice: [Bool]
  /// Time until both are done.
  public let makespan: Double

  /// The best split of up to 12 experts, found by trying all; of more the greedy one improved by single moves and swaps.
  ///
  /// - Parameters:
  ///   - rows: rows of each needed expert.
  ///   - resident: whether it is in the device's memory.
  /// - Throws: `PlacementError.statistics` when the arrays do not fit or rows are negative.
  public init(rows: [Int], resident: [Bool], costs: HybridCosts) throws(PlacementError) {
    guard rows.count == resident.count, rows.allSatisfy({ $0 >= 0 }) else { throw .statistics("\(rows) rows of \(resident.count) experts") }
    var search = SplitSearch(rows: rows, resident: resident, costs: costs)
    search.greedy()
    if rows.count <= 12 { search.tryAll() } else { search.improve() }
    (onDevice, makespan) = (search.best, search.time)
  }

  /// The time of a split: the device computes what is resident while the link brings in the rest, heaviest first.
  public static func makespan(_ onDevice: [Bool], _ rows: [Int], _ resident: [Bool], _ costs: HybridCosts) -> Double {
    SplitSearch(rows: rows, resident: resident, costs: costs).makespan { onDevice[$0] }
  }
}

/// The best split so far of one step's experts.
private struct SplitSearch {
  let rows: [Int]
  let resident: [Bool]
  let costs: HybridCosts
  /// Experts, heaviest first.
  let order: [Int]
  var best: [Bool]
  var time = Double.infinity

  init(rows: [Int], resident: [Bool], costs: HybridCosts) {
    self.rows = rows
    self.resident = resident
    self.costs = costs
    order = rows.indices.sorted { (-rows[$0], $0) < (-rows[$1], $1) }
    best = resident
  }

  func makespan(_ isOnDevice: (Int) -> Bool) -> Double {
    var cpu = 0.0, isCold = true, device = costs.preload, link = 0.0
    for expert in order {
      if !isOnDevice(expert) {
        cpu += costs.cpu(rows[expert]) + (isCold ? costs.firstOnCPU : 0)
        isCold = false
      } else if resident[expert] {
        device += costs.device(rows[expert])
      }
    }
    for expert in order where !resident[expert] && isOnDevice(expert) {
      link += costs.transfer
      device = max(device, link) + costs.device(rows[expert])
    }
    return max(cpu, device)
  }

  /// HybriMoE's rules: the device takes resident experts, the CPU the others, and the link brings in the heaviest of those as long as that ends
  /// the step sooner; then the CPU helps with the lightest resident ones.
  mutating func greedy() {
    time = makespan { resident[$0] }
    for expert in order where !resident[expert] { flip(expert) }
    for expert in order.reversed() where resident[expert] { flip(expert) }
  }

  mutating func tryAll() {
    for mask in 0..<1 << rows.count {
      let candidate = makespan { mask >> $0 & 1 == 1 }
      if candidate < time { (time, best) = (candidate, rows.indices.map { mask >> $0 & 1 == 1 }) }
    }
  }

  /// Moves and swaps until none helps.
  mutating func improve() {
    for _ in rows {
      let before = time
      for expert in rows.indices {
        flip(expert)
        for other in rows.indices where best[other] != best[expert] { flip(expert, other) }
      }
      if time >= before { return }
    }
  }

  /// Keeps the change of one or two experts if it helps.
  private mutating func flip(_ expert: Int, _ other: Int = -1) {
    let candidate = makespan { best[$0] != ($0 == expert || $0 == other) }
    guard candidate < time else { return }
    time = candidate
    best[expert].toggle()
    if other >= 0 { best[other].toggle() }
  }
}
