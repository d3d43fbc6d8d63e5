// What a program has to know of a matrix to read it.

#if OpenCL
import CMoEKernels
import MoETensors

/// A weight format with what multiplies its values.
struct MatrixKind: Hashable, Sendable {
  let format: WeightFormat
  /// The element type of its plane of scales, as matrix.cl has it: "f32", "f16", "bf16", "e4m3", "e8m0"; without a plane "factor" where matrices
  /// have one, else "none".
  let scales: String

  /// What every matrix can be decoded to.
  static let f32 = MatrixKind(format: .f32, scales: "none")

  private init(format: WeightFormat, scales: String) {
    self.format = format
    self.scales = scales
  }

  /// The kind of a matrix in rows; nil for panels, and where no source knows the format.
  init?(of matrix: HostMatrix) {
    let borrowed = matrix.borrowed
    format = WeightFormat(index: borrowed.format)
    guard moe_opencl_text(format.name) != nil, borrowed.layout == MOE_ROWS else { return nil }
    // Columns in another order are put in place code by code.
    guard matrix.order == nil || format.blockValues == 2 && !borrowed.flat else { return nil }
    scales =
      switch borrowed.scale_type {
      case MOE_SCALE_NONE: format.name == "nvfp4" ? "factor" : "none"
      case MOE_SCALE_F16: "f16"
      case MOE_SCALE_BF16: "bf16"
      case MOE_SCALE_E4M3: "e4m3"
      case MOE_SCALE_E8M0: "e8m0"
      default: "f32"
      }
  }

  /// True when products of such a matrix, which is one of these, can be had on activations of this precision: on int8, those that the CPU has of it,
  /// in rows or in panels.
  static func suits(_ precision: ActivationPrecision, _ matrix: HostMatrix) -> Bool {
    switch precision {
    case .float: return false
    case .int8:
      guard matrix.order == nil, moe_int8_row_bytes(matrix.borrowed.format, 32) > 0 else { return false }
      return withUnsafePointer(to: matrix.borrowed) { moe_takes_rounded($0) || moe_takes_panels($0) }
    case .bfloat16: return WeightFormat(index: matrix.borrowed.format) == .bf16 && !matrix.hasScales
    }
  }

  /// True for integer levels with scales of their own.
  var hasLevels: Bool { scales == "none" && moe_int8_row_bytes(format.index, 32) > 0 }

  /// True where levels are small enough for dot_half.cl, 8 at most.
  var isExactInHalf: Bool { ["q4_0", "q2_k", "q3_k", "tq1_0", "tq2_0"].contains(format.name) }

  /// As measurements name it: "q4_0", "f8_e4m3 by bf16".
  var name: String { scales == "none" ? format.name : "\(format) by \(scales)" }
}
#endif
