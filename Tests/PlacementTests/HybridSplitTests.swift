// Splits between CPU and device against brute force and against published cases.

import MoEPlacement
import Testing

@Suite struct HybridSplitTests {
  /// Fiddler's constants: 7 a row on the CPU, 70 for a copy.
  static let fiddler = HybridCosts(cpu: ExpertCost(constant: 0, perRow: 7), device: ExpertCost(constant: 0, perRow: 0), transfer: 70)
  static let rows = [12, 9, 3, 1, 0, 20, 6, 13]

  @Test func fiddlersCase() throws {
    let resident = Self.rows.indices.map { $0 == 0 || $0 == 5 }
    let split = try HybridSplit(rows: Self.rows, resident: resident, costs: Self.fiddler)
    // Expert 7 is copied; the CPU has 133 units and the link 70, which one after the other would be 203.
    let published = Self.rows.indices.map { resident[$0] || $0 == 7 }
    #expect(HybridSplit.makespan(published, Self.rows, resident, Self.fiddler) == 133)
    #expect(split.makespan == 133)
    #expect(split.onDevice[7] && !split.onDevice[1])
    #expect(Self.fiddler.breakEvenRows == 10)
  }

  static func bruteForce(_ rows: [Int], _ resident: [Bool], _ costs: HybridCosts) -> Double {
    (0..<1 << rows.count).map { mask in HybridSplit.makespan(rows.indices.map { mask >> $0 & 1 == 1 }, rows, resident, costs) }.min()!
  }

  static func randomCase(_ random: inout Draws, experts: Int) -> (rows: [Int], resident: [Bool], costs: HybridCosts) {
    func cost(_ bound: Int) -> Double { Double(random.below(bound)) / 10 }
    let costs = HybridCosts(
      cpu: ExpertCost(constant: cost(30), perRow: cost(40)), device: ExpertCost(constant: cost(30), perRow: cost(10)), transfer: cost(300),
      firstOnCPU: cost(20), preload: cost(60))
    return ((0..<experts).map { _ in random.below(24) }, (0..<experts).map { _ in random.below(3) == 0 }, costs)
  }

  @Test func upToTwelveExperts() throws {
    var random = Draws(seed: 11)
    for round in 0..<120 {
      let (rows, resident, costs) = Self.randomCase(&random, experts: 1 + round % 9)
      let split = try HybridSplit(rows: rows, resident: resident, costs: costs), best = Self.bruteForce(rows, resident, costs)
      #expect(split.makespan == best)
      #expect(split.makespan == HybridSplit.makespan(split.onDevice, rows, resident, costs))
    }
    let (rows, resident, costs) = Self.randomCase(&random, experts: 12)
    #expect(try HybridSplit(rows: rows, resident: resident, costs: costs).makespan == Self.bruteForce(rows, resident, costs))
  }

  /// More than twelve are never tried all: there the improved greedy split is within 4/3 of the best.
  @Test func beyondTwelveExperts() throws {
    var random = Draws(seed: 13)
    for _ in 0..<12 {
      let (rows, resident, costs) = Self.randomCase(&random, experts: 13)
      let split = try HybridSplit(rows: rows, resident: resident, costs: costs)
      #expect(split.makespan <= 4.0 / 3 * Self.bruteForce(rows, resident, costs) + 1e-9)
      #expect(split.makespan <= HybridSplit.makespan(resident, rows, resident, costs))
    }
  }

  /// Many equal experts: the link brings BW_link / (BW_link + BW_cpu) of them, 12.7% at 32 and 220 GB/s.
  @Test func shareOfTheLink() throws {
    let costs = HybridCosts(cpu: ExpertCost(constant: 1 / 220.0, perRow: 0), device: ExpertCost(constant: 1e-6, perRow: 0), transfer: 1 / 32.0)
    let split = try HybridSplit(rows: Array(repeating: 1, count: 1000), resident: Array(repeating: false, count: 1000), costs: costs)
    #expect(abs(Double(split.onDevice.count { $0 }) / 1000 - 0.127) < 0.002)
  }

  @Test func refusals() {
    #expect(throws: PlacementError.self) { try HybridSplit(rows: [1], resident: [], costs: Self.fiddler) }
    #expect(throws: PlacementError.self) { try HybridSplit(rows: [-1], resident: [true], costs: Self.fiddler) }
  }
}
