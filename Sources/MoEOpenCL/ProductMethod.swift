// How a device multiplies: the kernels of a product.

#if OpenCL
import MoEPlacement

/// A way to compute the products of experts.
enum ProductMethod: String, Sendable {
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
#endif
