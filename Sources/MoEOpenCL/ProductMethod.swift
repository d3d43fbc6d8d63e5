// How a device multiplies: the kernels of a product.

#if OpenCL
import MoEPlacement
import MoETensors

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

  /// The sources that those of the kernels build on.
  var sources: [String] { self == .panels ? ["store_panel"] : [] }

  /// The kernels of a program, named after their sources, in the order of these.
  func kernels(_ products: RoundedProducts?) -> [DeviceProgram.Kernel] {
    let product = [false, true].map { self.product(isFew: $0, products) }
    return [arrangement(products)].compactMap { $0 } + (self == .panels ? [product[0]] : product) + [.combine]
  }

  /// The kernel that multiplies tiles.
  func product(isFew: Bool, _ products: RoundedProducts?) -> DeviceProgram.Kernel {
    let onInt8 = products?.precision == .int8
    return switch self {
    case .tiles where products?.usesMatrices == true && isFew: onInt8 ? .productRowsMatricesInt8 : .productRowsMatrices
    case .tiles where products?.usesMatrices == true: onInt8 ? .productTilesMatricesInt8 : .productTilesMatrices
    case .tiles where products?.usesSubgroups == true && isFew: .productRowsSubgroups
    case .tiles where isFew: onInt8 ? .productRowsInt8 : .productRows
    case .tiles: onInt8 ? .productTilesInt8 : .productTiles
    case .panels: onInt8 ? .productPanelsInt8 : .productPanels
    }
  }

  /// The kernel that puts the rows of tiles in order first, if there is one.
  func arrangement(_ products: RoundedProducts?) -> DeviceProgram.Kernel? {
    products?.precision == .int8 ? .roundRows : products?.usesMatrices == true ? .roundRowsBF16 : self == .panels ? .arrangeRows : nil
  }
}
#endif
