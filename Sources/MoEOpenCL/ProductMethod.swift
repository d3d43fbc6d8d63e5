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
  func kernels(onInt8: Bool) -> [DeviceProgram.Kernel] {
    switch self {
    case .tiles: onInt8 ? [.roundRows, .productTilesInt8, .productRowsInt8, .combine] : [.productTiles, .productRows, .combine]
    case .panels: onInt8 ? [.roundRows, .productPanelsInt8, .combine] : [.arrangeRows, .productPanels, .combine]
    }
  }

  /// The kernel that multiplies tiles.
  func product(isFew: Bool, onInt8: Bool) -> DeviceProgram.Kernel {
    switch self {
    case .tiles where isFew: onInt8 ? .productRowsInt8 : .productRows
    case .tiles: onInt8 ? .productTilesInt8 : .productTiles
    case .panels: onInt8 ? .productPanelsInt8 : .productPanels
    }
  }

  /// The kernel that puts the rows of tiles in order first, if there is one.
  func arrangement(onInt8: Bool) -> DeviceProgram.Kernel? { onInt8 ? .roundRows : self == .panels ? .arrangeRows : nil }
}
#endif
