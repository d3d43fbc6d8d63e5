// Which program reads a matrix, and the sizes it is compiled for.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// The kinds of matrix that one program reads; their order is their number. One kind where activations are rounded.
struct KernelVariant: Hashable, Sendable {
  let kinds: [MatrixKind]
  /// Nil where activations are f32.
  let products: RoundedProducts?

  /// What every matrix can be decoded to.
  static let f32 = KernelVariant([.f32])

  init(_ kinds: Set<MatrixKind>) {
    self.kinds = kinds.sorted { ($0.format.index, $0.scales) < ($1.format.index, $1.scales) }
    products = nil
  }

  init(_ kind: MatrixKind, on products: RoundedProducts) { (kinds, self.products) = ([kind], products) }

  /// The number of the kind of `matrix`; nil when the variant does not read it.
  func number(of matrix: HostMatrix) -> Int? { MatrixKind(of: matrix).flatMap(kinds.firstIndex(of:)) }

  var name: String { kinds.map(\.name).joined(separator: ", ") + (products.map { " on \($0.precision.rawValue) by \($0.name)" } ?? "") }

  /// What matrix.cl is compiled for.
  var options: String {
    let rounding = products == .widenedFloats ? " -D ROUNDS_TO_BF16" : "", levels = hasLevels ? " -D HAS_LEVELS" : ""
    if kinds.count == 1 { return "-D FORMAT=\(kinds[0].format) -D SCALES=\(kinds[0].scales)" + rounding + levels }
    return "-D KINDS=" + kinds.enumerated().map { "KIND(\($0),\($1.format),\($1.scales))" }.joined()
  }

  /// True where panels can take integer levels and scales apart.
  private var hasLevels: Bool { kinds.count == 1 && kinds[0].hasLevels }

  /// The texts of the program, in order.
  func sources(_ method: ProductMethod) -> [UnsafePointer<CChar>] {
    let formats = Set(kinds.map(\.format)).sorted { $0.index < $1.index }.map(\.name)
    let names = ["tile", "bits", "uneven_levels", "iq_grids", "iq"] + formats + ["matrix", "expert"]
    let levels = hasLevels && method == .panels && products == nil ? ["integers", "panel_levels"] : []
    return (names + method.sources + levels + (products?.sources ?? []) + method.kernels(products).map(\.rawValue)).map { moe_opencl_text($0) }
  }
}
#endif
