// The sizes that the kernels of a product are compiled for: defaults, those that a device was tuned to, and those to try.

#if OpenCL
import CMoEOpenCL
import MoEPlacement
import MoETensors

/// Sizes of work-groups and items: see CKernels/opencl/tile.cl.
struct TileShape: Hashable, Sendable {
  let method: ProductMethod
  private let groupRows: Int, itemRows: Int, itemTokens: Int
  /// Rows of the plan that one work-group takes.
  let groupTokens: Int
  /// Columns in local memory at once.
  private var step: Int
  /// The most rows that the kernel for few rows takes; 0 where there is none.
  let few: Int
  private static let lanes = 8

  /// The sizes that a device starts from; steps that leave half of the local memory to another group. Panels know no steps.
  init(_ method: ProductMethod, of device: ComputeDevice, localBytes: Int) {
    self.init(method, sizes: method == .tiles ? DefaultShape.nearest(to: device, localBytes: localBytes).sizes : [32, 256, 32, 256, 8, 0])
    while step > 8, bytesOfStep > localBytes / 2 { step /= 2 }
  }

  private init(_ method: ProductMethod, sizes: [Int]) {
    self.method = method
    (groupRows, groupTokens, itemRows, itemTokens, step, few) = (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5])
  }

  /// Sizes that come from a file; nil for those that the kernels cannot be compiled for.
  init?(_ method: ProductMethod, tuned sizes: [Int], localBytes: Int) {
    guard sizes.count == 6, let known = Self.candidates(method, localBytes: localBytes).first(where: { $0.sizes == sizes }) else { return nil }
    self = known
  }

  /// The sizes to try on a device, all that its local memory holds.
  static func candidates(_ method: ProductMethod, localBytes: Int) -> [TileShape] {
    if method == .panels { return [64, 128, 256, 512].map { TileShape(.panels, sizes: [32, $0, 32, $0, 8, 0]) } }
    var shapes: [TileShape] = []
    for (groupRows, groupTokens) in [(32, 32), (64, 32), (64, 64), (128, 64), (64, 128), (128, 128)] {
      for (itemRows, itemTokens) in [(8, 4), (8, 8), (16, 8)] {
        for step in [8, 16, 32] { shapes.append(TileShape(.tiles, sizes: [groupRows, groupTokens, itemRows, itemTokens, step, 4])) }
      }
    }
    return shapes.filter { $0.bytesOfStep <= localBytes && (32...256).contains($0.tileItems) }
  }

  /// As files and reports have them: group, item, step, few.
  var sizes: [Int] { [groupRows, groupTokens, itemRows, itemTokens, step, few] }

  private var bytesOfStep: Int { (groupRows + groupTokens) * step * MemoryLayout<Float>.size }
  /// Of three times 32 columns: of weights and rows in bf16, see product_mma.cl, or of rows in int8, see product_mma_int8.cl.
  func bytesOfStages(_ precision: ActivationPrecision) -> Int { 3 * (precision == .int8 ? groupTokens * 44 : (groupRows + groupTokens) * 64) }

  /// Work-groups side by side that `rows` weight rows take.
  func groups(_ rows: Int) -> Int { (rows + groupRows - 1) / groupRows }

  /// Items of a work-group for tiles of many rows or of few; by tensor cores those of the warps of warps.cl.
  func items(isFew: Bool, _ products: RoundedProducts?) -> Int {
    if products?.usesMatrices == true { return groupRows / warpRows * 32 }
    // A lane of a span has a row's chain of sums.
    if products?.usesSubgroups == true, isFew { return groupRows }
    return isFew ? groupRows / itemRows * Self.lanes : tileItems
  }
  private var tileItems: Int { groupRows / itemRows * groupTokens / itemTokens }
  /// Weight rows of a warp; 128 sums an item at most.
  private var warpRows: Int { groupTokens > 64 ? 16 : 32 }

  /// Rows that `count` rows of a tile take when they are arranged.
  static func arranged(_ count: Int) -> Int { (count + 7) / 8 * 8 }

  func options(_ products: RoundedProducts?) -> String {
    let group = "-D GROUP_ROWS=\(groupRows) -D GROUP_TOKENS=\(groupTokens)"
    // An instruction of tensor cores takes sixteen rows.
    if products?.usesMatrices == true { return "\(group) -D WARP_ROWS=\(warpRows) -D ITEM_ROWS=16" }
    return "\(group) -D ITEM_ROWS=\(itemRows) -D ITEM_TOKENS=\(itemTokens) -D STEP=\(step) -D FEW=\(few)"
  }
}
#endif
