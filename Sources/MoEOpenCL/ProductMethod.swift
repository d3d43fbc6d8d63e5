// How a device multiplies: the kernels of a product, and the sizes they are compiled for.

#if OpenCL
import MoEPlacement
import MoETensors

/// A way to compute the products of experts.
enum ProductMethod: Hashable, Sendable {
  /// Tiles of weights and rows through local memory.
  case tiles
  /// A thread an item, weights decoded into its cache: for CPUs.
  case panels

  /// Those that suit a device, the best first.
  static func suiting(_ device: ComputeDevice, _ options: OpenCLOptions) -> [ProductMethod] {
    device.kind == .cpu && options.usesPanels ? [.panels, .tiles] : [.tiles]
  }

  /// The kernels of a program, named after their sources, in the order of these.
  var kernels: [DeviceProgram.Kernel] {
    switch self {
    case .tiles: [.productTiles, .productRows, .combine]
    case .panels: [.arrangeRows, .productPanels, .combine]
    }
  }
}

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
  private let lanes = 8

  /// Sizes that fill the registers of an item; steps that leave half of the local memory to another group. Panels know neither.
  init(_ method: ProductMethod, localBytes: Int) {
    self.method = method
    (groupRows, groupTokens, itemRows, itemTokens, step, few) =
      switch method {
      case .tiles: (64, 64, 8, 8, 16, 4)
      case .panels: (32, 256, 32, 256, 8, 0)
      }
    while step > 8, (groupRows + groupTokens) * step * MemoryLayout<Float>.size > localBytes / 2 { step /= 2 }
  }

  /// Work-groups side by side that `rows` weight rows take.
  func groups(_ rows: Int) -> Int { (rows + groupRows - 1) / groupRows }

  /// Items of a work-group for tiles of many rows, and for those of few.
  var tileItems: Int { groupRows / itemRows * groupTokens / itemTokens }
  var rowItems: Int { groupRows / itemRows * lanes }

  /// Rows that `count` rows of a tile take when they are arranged.
  static func arranged(_ count: Int) -> Int { (count + 7) / 8 * 8 }

  var options: String {
    "-D GROUP_ROWS=\(groupRows) -D GROUP_TOKENS=\(groupTokens) -D ITEM_ROWS=\(itemRows) -D ITEM_TOKENS=\(itemTokens) -D STEP=\(step) -D FEW=\(few)"
  }
}
#endif
