// Which program reads a matrix, and the sizes it is compiled for.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// A weight format with the element type of its plane of scales.
struct KernelVariant: Hashable, Sendable {
  let format: WeightFormat
  /// "f32", "f16", "bf16", "e4m3", "e8m0" as matrix.cl has them; nil without a plane.
  let scales: String?

  /// What every matrix can be decoded to.
  static let f32 = KernelVariant(format: .f32, scales: nil)

  private init(format: WeightFormat, scales: String?) {
    self.format = format
    self.scales = scales
  }

  /// The variant that reads `matrix` as it lies; nil where no source knows the format, or eight columns in a row may not share a scale.
  init?(of matrix: HostMatrix) {
    let borrowed = matrix.borrowed
    format = WeightFormat(index: borrowed.format)
    guard moe_opencl_text(format.name) != nil, matrix.order == nil, borrowed.layout == MOE_ROWS, borrowed.columns % 8 == 0 else { return nil }
    if borrowed.scale_type == MOE_SCALE_NONE {
      guard borrowed.global_scale == 1 else { return nil }
      scales = nil
      return
    }
    guard borrowed.group % 8 == 0, !borrowed.flat || borrowed.columns % borrowed.group == 0 else { return nil }
    scales =
      switch borrowed.scale_type {
      case MOE_SCALE_F16: "f16"
      case MOE_SCALE_BF16: "bf16"
      case MOE_SCALE_E4M3: "e4m3"
      case MOE_SCALE_E8M0: "e8m0"
      default: "f32"
      }
  }

  /// As measurements name it: "q4_0", "f8_e4m3 by bf16".
  var name: String { format.name + (scales.map { " by \($0)" } ?? "") }

  /// The texts of the program, in order.
  var sources: [UnsafePointer<CChar>] {
    ["tile", format.name, "matrix", "expert", "product_tiles", "product_rows", "combine"].map { (name: String) in moe_opencl_text(name) }
  }
}

/// Sizes of work-groups and items: see CKernels/opencl/tile.cl.
struct TileShape: Hashable, Sendable {
  private let groupRows: Int, itemRows: Int, itemTokens: Int
  /// Rows of the plan that one work-group takes.
  let groupTokens: Int
  /// Columns in local memory at once.
  private var step: Int
  /// The most rows that the kernel for few rows takes.
  let few = 4
  private let lanes = 8

  /// Sizes for a kind of device: items that fill the registers of a thread of a GPU, or the vector registers of a core; steps that leave half of
  /// the local memory to another group, or on a CPU, where that is cache, as few as fit.
  init(for kind: ComputeDevice.Kind, localBytes: Int) {
    groupRows = 64
    (groupTokens, itemRows, itemTokens, step) = kind == .cpu ? (128, 16, 16, 128) : (64, 8, 8, 16)
    while step > 8, (groupRows + groupTokens) * step * MemoryLayout<Float>.size > localBytes / 2 { step /= 2 }
  }

  /// Work-groups side by side that `rows` weight rows take.
  func groups(_ rows: Int) -> Int { (rows + groupRows - 1) / groupRows }

  /// Items of a work-group of `product_tiles`, and of `product_rows`.
  var tileItems: Int { groupRows / itemRows * groupTokens / itemTokens }
  var rowItems: Int { groupRows / itemRows * lanes }

  var options: String {
    "-D GROUP_ROWS=\(groupRows) -D GROUP_TOKENS=\(groupTokens) -D ITEM_ROWS=\(itemRows) -D ITEM_TOKENS=\(itemTokens) -D STEP=\(step) -D FEW=\(few)"
  }
}
#endif
