// The experts of a bank as kernels and their tasks read them: plain values at one address, nothing to retain.

package import CMoEKernels
internal import MoEPlacement

/// One matrix, or the rows of it that a node reads, with what belongs to it; valid while the bank lives.
package struct BorrowedMatrix {
  package var matrix: moe_matrix
  /// Row of the whole matrix that is the first of `matrix`.
  package var firstRow: Int
  /// Added to the product; nil for none.
  package var bias: UnsafePointer<Float>?
  /// Stored column j multiplies input `order[j]`; nil for the identity.
  package var order: UnsafePointer<Int32>?
  /// Columns of one summation segment where the matrix is a down projection.
  package var segment: Int
  /// True when kernels on rounded activations can read the matrix, where its format has them.
  package var suitsRounded: Bool

  /// The matrix as a node reads it that computes from `places`; it and the bias have to outlive the value.
  package init(_ source: PackedMatrix, bias: [Float]? = nil, in places: [Int] = [0]) {
    let shard = source.shard(in: places)
    (matrix, firstRow) = (source.borrowed(shard), shard.rows.lowerBound)
    self.bias = bias.flatMap { $0.withUnsafeBufferPointer { $0.baseAddress } }
    order = source.inputOrder.flatMap { $0.withUnsafeBufferPointer { $0.baseAddress } }
    segment = source.segment
    suitsRounded = source.suitsRounded
  }
}

/// One expert; `gate` repeats `up` where the bank has none.
package struct BorrowedExpert {
  package var gate: BorrowedMatrix, up: BorrowedMatrix, down: BorrowedMatrix
}

/// The experts of a bank where the tasks of a call find them; valid while the bank lives.
package struct ExpertTable {
  let values: UnsafePointer<BorrowedExpert>
  let count: Int
  /// For every expert the nodes that hold all of it, as bits; nil for a bank in one place.
  let copies: UnsafePointer<UInt64>?

  /// The expert with the rows that `home` computes, read from the node `node` itself where that has a copy.
  package func callAsFunction(_ expert: Int, of home: Int, on node: Int) -> UnsafePointer<BorrowedExpert> {
    guard let copies else { return values + expert }
    return values + (copies[expert] >> UInt64(node) & 1 == 1 ? node : home) * count + expert
  }
}

/// All experts of a bank, once for each node of its placement. Owns the arrays that the values point into.
package final class BorrowedExperts: @unchecked Sendable {
  private let owners: [Expert], nodes: BankNodes?
  private let values: UnsafeMutablePointer<BorrowedExpert>

  init(_ experts: [Expert], _ nodes: BankNodes?) {
    (owners, self.nodes) = (experts, nodes)
    let count = nodes?.map.count ?? 1
    values = .allocate(capacity: count * experts.count)
    for node in 0..<count {
      let places = nodes?.map.places[node] ?? [0]
      for (index, expert) in experts.enumerated() {
        let up = BorrowedMatrix(expert.up, bias: expert.upBias, in: places)
        (values + node * experts.count + index).initialize(
          to: BorrowedExpert(
            gate: expert.gate.map { BorrowedMatrix($0, bias: expert.gateBias, in: places) } ?? up, up: up,
            down: BorrowedMatrix(expert.down, bias: expert.downBias, in: places)))
      }
    }
  }

  package var table: ExpertTable {
    ExpertTable(values: UnsafePointer(values), count: owners.count, copies: nodes.map { UnsafePointer($0.copies) })
  }

  deinit { values.deallocate() }
}
