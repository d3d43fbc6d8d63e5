// Which program reads a matrix, and the sizes it is compiled for.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// The kinds of matrix that one program reads; their order is their number.
struct KernelVariant: Hashable, Sendable {
  let kinds: [MatrixKind]

  /// What every matrix can be decoded to.
  static let f32 = KernelVariant([.f32])

  init(_ kinds: Set<MatrixKind>) { self.kinds = kinds.sorted { ($0.format.index, $0.scales) < ($1.format.index, $1.scales) } }

  /// The number of the kind of `matrix`; nil when the variant does not read it.
  func number(of matrix: HostMatrix) -> Int? { MatrixKind(of: matrix).flatMap(kinds.firstIndex(of:)) }

  var name: String { kinds.map(\.name).joined(separator: ", ") }

  /// What matrix.cl is compiled for.
  var options: String {
    if kinds.count == 1 { return "-D FORMAT=\(kinds[0].format) -D SCALES=\(kinds[0].scales)" }
    return "-D KINDS=" + kinds.enumerated().map { "KIND(\($0),\($1.format),\($1.scales))" }.joined()
  }

  /// The texts of the program, in order.
  var sources: [UnsafePointer<CChar>] {
    let formats = Set(kinds.map(\.format)).sorted { $0.index < $1.index }.map(\.name)
    let names = ["tile", "bits", "uneven_levels", "iq_grids", "iq"] + formats + ["matrix", "expert", "product_tiles", "product_rows", "combine"]
    return names.map { moe_opencl_text($0) }
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
