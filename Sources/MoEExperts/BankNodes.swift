// Which node computes which output rows of every expert of a bank.

package import MoEPlacement

/// How the work of one product is divided over nodes; valid while its bank's nodes live.
package struct RowDivision {
  /// Number of nodes.
  package let count: Int
  /// Unmanaged, so that the tasks of a call retain nothing.
  private let map: Unmanaged<NodeMap>
  /// For every expert the first row of each node, and the end.
  private let bounds: UnsafePointer<Int32>

  init(_ map: NodeMap, bounds: UnsafePointer<Int32>) { (count, self.map, self.bounds) = (map.count, .passUnretained(map), bounds) }

  package var nodes: NodeMap { map.takeUnretainedValue() }

  /// Rows of an expert that a node computes.
  package func rows(of expert: Int, on node: Int) -> Range<Int> {
    let bounds = bounds + expert * (count + 1) + node
    return Int(bounds[0])..<Int(bounds[1])
  }
}

/// The nodes of a bank's placement.
package final class BankNodes: @unchecked Sendable {
  package let map: NodeMap
  private let bounds: UnsafeMutablePointer<Int32>
  private let experts: Int
  /// True where the output rows of all experts are divided alike.
  private let isUniform: Bool
  /// For every expert the nodes that hold all of it, as bits.
  let copies: UnsafeMutablePointer<UInt64>

  /// - Parameter homes: one an expert.
  package init(_ placement: Placement, _ homes: [Placement.Home], map: NodeMap, intermediate: Int, hidden: Int) {
    self.map = map
    // Experts on devices have no rows here; what they are given must not differ from the others'.
    let others = homes.first { $0.deviceIndex == nil } ?? .interleaved, homes = homes.map { $0.deviceIndex == nil ? $0 : others }
    let experts = homes.count, bounds = [intermediate, hidden].flatMap { rows in homes.map { placement.bounds(of: $0, rows: rows) } }
    self.experts = experts
    isUniform = bounds[experts...].allSatisfy { $0 == bounds[experts] }
    let flat = bounds.joined().map(Int32.init)
    self.bounds = .allocate(capacity: flat.count)
    self.bounds.initialize(from: flat, count: flat.count)
    copies = .allocate(capacity: experts)
    for (expert, home) in homes.enumerated() {
      let whole = if case .nodes(let places) = home { places.map(placement.node) } else { [Int]() }
      (copies + expert).initialize(to: whole.reduce(0) { $0 | 1 << UInt64($1) })
    }
  }

  deinit {
    bounds.deallocate()
    copies.deallocate()
  }

  /// Intermediate rows, of gate and up.
  package var gateUp: RowDivision { RowDivision(map, bounds: UnsafePointer(bounds)) }
  /// Output rows, of down.
  package var down: RowDivision { RowDivision(map, bounds: UnsafePointer(bounds) + experts * (map.count + 1)) }

  /// True where a strip of output columns of all experts, and of those of another bank, has one home.
  package func hasOneHome(with other: BankNodes?) -> Bool {
    guard let other else { return isUniform }
    guard isUniform, other.isUniform, map === other.map else { return false }
    return (0..<map.count).allSatisfy { down.rows(of: 0, on: $0) == other.down.rows(of: 0, on: $0) }
  }
}
