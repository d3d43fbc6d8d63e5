// The experts of a bank as kernels and their tasks read them: plain values at one address, nothing to retain.

package import CMoEKernels

/// One matrix with what belongs to it; valid while the bank lives.
package struct BorrowedMatrix {
  package var matrix: moe_matrix
  /// Added to the product; nil for none.
  package var bias: UnsafePointer<Float>?
  /// Stored column j multiplies input `order[j]`; nil for the identity.
  package var order: UnsafePointer<Int32>?
  /// Columns of one summation segment where the matrix is a down projection.
  package var segment: Int
  /// True when kernels on rounded activations can read the matrix, where its format has them.
  package var suitsRounded: Bool

  /// The matrix; it and the bias have to outlive the value.
  package init(_ source: PackedMatrix, bias: [Float]? = nil) {
    matrix = source.borrowed
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

/// All experts of a bank. Owns the arrays that the values point into.
package final class BorrowedExperts: @unchecked Sendable {
  private let owners: [Expert]
  package let values: UnsafePointer<BorrowedExpert>

  init(_ experts: [Expert]) {
    owners = experts
    let values = UnsafeMutablePointer<BorrowedExpert>.allocate(capacity: experts.count)
    for (index, expert) in experts.enumerated() {
      let up = BorrowedMatrix(expert.up, bias: expert.upBias)
      (values + index).initialize(
        to: BorrowedExpert(
          gate: expert.gate.map { BorrowedMatrix($0, bias: expert.gateBias) } ?? up, up: up,
          down: BorrowedMatrix(expert.down, bias: expert.downBias)))
    }
    self.values = UnsafePointer(values)
  }

  deinit { values.deallocate() }
}
