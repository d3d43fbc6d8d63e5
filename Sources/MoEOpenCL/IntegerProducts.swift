// How four products of int8 are summed: plain C, and what some compilers and devices have beyond it.

#if OpenCL
import CMoEOpenCL
import MoETensors

/// The source of the products on int8 activations, by its name.
package enum IntegerProducts: String, Sendable {
  case plainDots = "dot_plain"
  /// By the extensions of their names.
  case khronosDots = "dot_khr"
  case armDots = "dot_arm"
  /// By an instruction of NVIDIA's devices.
  case ptxDots = "dot_ptx"
  /// Panels of floats: plain C.
  case floatPanels = "panel_floats"
  /// Panels of bytes, by 512-bit vectors of x86-64.
  case bytePanels = "panel_bytes"

  /// Those that suit a device by what it says of itself, the best first; plain C is the last.
  static func suiting(_ device: DeviceInfo, _ method: ProductMethod) -> [IntegerProducts] {
    if method == .panels {
      // A device on the CPU is the host.
      return KernelTable(named: "avx512") == nil ? [.floatPanels] : [.bytePanels, .floatPanels]
    }
    let extensions = Set(((try? device.text(CL_DEVICE_EXTENSIONS)) ?? "").split(separator: " "))
    return dots(extensions, computeCapability: computeCapability(device, extensions))
  }

  /// Those of tiles by the extensions and, of NVIDIA's devices, the compute capability; its instruction came with 6.1.
  package static func dots(_ extensions: Set<Substring>, computeCapability: (UInt32, UInt32)?) -> [IntegerProducts] {
    var suiting: [IntegerProducts] = []
    if let computeCapability, computeCapability >= (6, 1) { suiting.append(.ptxDots) }
    if extensions.contains("cl_khr_integer_dot_product") { suiting.append(.khronosDots) }
    if extensions.contains("cl_arm_integer_dot_product_accumulate_int8") { suiting.append(.armDots) }
    return suiting + [.plainDots]
  }

  /// CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, and MINOR.
  private static func computeCapability(_ device: DeviceInfo, _ extensions: Set<Substring>) -> (UInt32, UInt32)? {
    guard extensions.contains("cl_nv_device_attribute_query"), let major = try? device.number(0x4000, as: UInt32.self),
      let minor = try? device.number(0x4001, as: UInt32.self)
    else { return nil }
    return (major, minor)
  }
}
#endif
