// Loops that measure the arithmetic peaks of a kernel table.

internal import CMoEKernels

/// Arithmetic of a GEMM's inner loop.
package enum GEMMArithmetic: String, Sendable, CaseIterable {
  case float
  /// Products of int8 codes, summed in 16 bits before they are widened.
  case int8
  /// Products of int8 codes, every pair widened to 32 bits.
  case int8Wide
  /// Products of bf16 numbers, summed in f32.
  case bf16
}

extension KernelTable {
  /// Runs the register-only loop, which the table has; returns the operations done (2 a multiply-add) and a value that depends on all of them.
  package func runPeak(_ arithmetic: GEMMArithmetic, steps: Int) -> (operations: Int, value: Float) {
    let loop =
      switch arithmetic {
      case .float: row.pointee.peak_multiply_add!
      case .int8: row.pointee.peak_int8!
      case .int8Wide: row.pointee.peak_int8_wide!
      case .bf16: row.pointee.peak_bf16!
      }
    var operations: Int64 = 0
    let value = loop(Int64(steps), &operations)
    return (Int(operations), value)
  }

  /// Arithmetic of the kernel that runs on activations of this precision, nil for formats without one.
  package func arithmetic(_ format: WeightFormat, on activations: ActivationPrecision) -> GEMMArithmetic? {
    let kernels = row.pointee.formats[Int(format.index)]
    switch activations {
    case .float: return .float
    case .int8: return kernels.gemm_int8 == nil ? nil : kernels.int8_run > 1 ? .int8 : .int8Wide
    case .bfloat16: return kernels.gemm_bf16 == nil ? nil : .bf16
    }
  }
}
