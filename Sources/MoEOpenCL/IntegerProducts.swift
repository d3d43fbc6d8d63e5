// How four products of int8 are summed: plain C, and what some compilers and devices have beyond it.

#if OpenCL
import CMoEOpenCL
import MoETensors

/// The source of the products on int8 activations, by its name.
enum IntegerProducts: String, Sendable {
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
    var suiting: [IntegerProducts] = []
    if hasInstruction(device, extensions) { suiting.append(.ptxDots) }
    if extensions.contains("cl_khr_integer_dot_product") { suiting.append(.khronosDots) }
    if extensions.contains("cl_arm_integer_dot_product_accumulate_int8") { suiting.append(.armDots) }
    return suiting + [.plainDots]
  }

  /// True for compute capability 6.1 and above: CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, and MINOR.
  private static func hasInstruction(_ device: DeviceInfo, _ extensions: Set<Substring>) -> Bool {
    guard extensions.contains("cl_nv_device_attribute_query"), let major = try? device.number(0x4000, as: UInt32.self),
      let minor = try? device.number(0x4001, as: UInt32.self)
    else { return false }
    return (major, minor) >= (6, 1)
  }
}
#endif
