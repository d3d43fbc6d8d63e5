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
  public private(set) var onDevice: [Bool]
  /// Time until both are done.
  public private(set) var makespan: Double

  /// The best split of up to 12 experts, found by trying all; of more the greedy one improved by single moves and swaps.
  ///
  /// - Parameters:
  ///   - rows: rows of each needed expert.
  ///   - resident: whether it is in the device's memory.
  /// - Throws: `PlacementError.statistics` when the arrays do not fit or rows are negative.
  public init(rows: [Int], resident: [Bool], costs: HybridCosts) throws(PlacementError) {
    guard rows.count == resident.count, rows.allSatisfy({ $0 >= 0 }) else { throw .statistics("\(rows) rows of \(resident.count) experts") }
    self.init(greedily: rows, resident, costs)
    if rows.count <= 12 {
      for mask in 0..<1 << rows.count { take(rows.indices.map { mask >> $0 & 1 == 1 }, rows, resident, costs) }
    } else {
      improve(rows, resident, costs)
    }
  }

  /// HybriMoE's rules: the device takes resident experts, heaviest first, the CPU the others, lightest first; the link brings in the heaviest
  /// of those as long as that ends the step sooner.
  init(greedily rows: [Int], _ resident: [Bool], _ costs: HybridCosts) {
    onDevice = resident
    makespan = Self.makespan(resident, rows, resident, costs)
    let byRows = rows.indices.sorted { (rows[$0], $0) < (rows[$1], $1) }
    for expert in byRows.reversed() where !resident[expert] { flip([expert], rows, resident, costs) }
    for expert in byRows where resident[expert] { flip([expert], rows, resident, costs) }
  }

  private mutating func improve(_ rows: [Int], _ resident: [Bool], _ costs: HybridCosts) {
    for _ in rows {
      let before = makespan
      for expert in rows.indices {
        flip([expert], rows, resident, costs)
        for other in rows.indices where onDevice[other] != onDevice[expert] { flip([expert, other], rows, resident, costs) }
      }
      if makespan >= before { return }
    }
  }

  private mutating func flip(_ experts: [Int], _ rows: [Int], _ resident: [Bool], _ costs: HybridCosts) {
    var changed = onDevice
    for expert in experts { changed[expert].toggle() }
    take(changed, rows, resident, costs)
  }

  private mutating func take(_ candidate: [Bool], _ rows: [Int], _ resident: [Bool], _ costs: HybridCosts) {
    let time = Self.makespan(candidate, rows, resident, costs)
    if time < makespan { (onDevice, makespan) = (candidate, time) }
  }

  /// The time of a split: the device computes what is resident while the link brings in the rest, heaviest first.
  public static func makespan(_ onDevice: [Bool], _ rows: [Int], _ resident: [Bool], _ costs: HybridCosts) -> Double {
    var cpu = 0.0, device = costs.preload, link = 0.0
    var brought: [Int] = []
    for expert in rows.indices {
      if !onDevice[expert] {
        cpu += costs.cpu(rows[expert]) + (cpu == 0 ? costs.firstOnCPU : 0)
      } else if resident[expert] {
        device += costs.device(rows[expert])
      } else {
        brought.append(rows[expert])
      }
    }
    for rows in brought.sorted(by: >) {
      link += costs.transfer
      device = max(device, link) + costs.device(rows)
    }
    return max(cpu, device)
  }
}
