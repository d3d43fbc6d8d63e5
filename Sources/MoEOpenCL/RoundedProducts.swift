// How products on rounded activations are computed: plain C, and what some compilers and devices have beyond it.

#if OpenCL
import CMoEOpenCL
package import MoETensors

/// A variant of the products on int8 or bf16 activations; int8's and those of tensor cores by the names of their sources.
package enum RoundedProducts: String, Sendable {
  /// Four products of int8 at a time.
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
  /// bf16 by the kernels for f32.
  case widenedFloats = "widened_floats"
  /// bf16 by NVIDIA's tensor cores, and in plain C what they do, for tests.
  case ptxMatrices = "mma_ptx"
  case emulatedMatrices = "mma_emulated"

  /// What activations are rounded to.
  package var precision: ActivationPrecision {
    switch self {
    case .widenedFloats, .ptxMatrices, .emulatedMatrices: .bfloat16
    default: .int8
    }
  }

  /// True for tensor cores, or what stands for them.
  var usesMatrices: Bool { self == .ptxMatrices || self == .emulatedMatrices }

  /// The sources that those of the kernels build on.
  var sources: [String] {
    switch self {
    case .widenedFloats: []
    case .ptxMatrices, .emulatedMatrices: [rawValue, "product_mma"]
    default: ["integers", rawValue]
    }
  }

  /// Those that suit a device by what it says of itself, the best first; plain C is the last.
  static func suiting(_ precision: ActivationPrecision, _ shape: TileShape, on context: OpenCLContext) -> [RoundedProducts] {
    if shape.method == .panels {
      if precision == .bfloat16 { return [.widenedFloats] }
      // A device on the CPU is the host.
      return KernelTable(named: "avx512") == nil ? [.floatPanels] : [.bytePanels, .floatPanels]
    }
    let extensions = Set(((try? context.info.text(CL_DEVICE_EXTENSIONS)) ?? "").split(separator: " "))
    let capability = computeCapability(context.info, extensions)
    guard precision == .bfloat16 else { return dots(extensions, computeCapability: capability) }
    // Copies of sixteen bytes, at multiples of that where weights are not the host's.
    let fits = shape.bytesOfStages <= context.localBytes && !context.usesHostMemory
    return (context.options.emulatesMatrices ? [.emulatedMatrices] : matrices(computeCapability: fits ? capability : nil)) + [.widenedFloats]
  }

  /// Those of int8 tiles by the extensions and, of NVIDIA's devices, the compute capability; its instruction came with 6.1.
  package static func dots(_ extensions: Set<Substring>, computeCapability: (UInt32, UInt32)?) -> [RoundedProducts] {
    var suiting: [RoundedProducts] = []
    if let computeCapability, computeCapability >= (6, 1) { suiting.append(.ptxDots) }
    if extensions.contains("cl_khr_integer_dot_product") { suiting.append(.khronosDots) }
    if extensions.contains("cl_arm_integer_dot_product_accumulate_int8") { suiting.append(.armDots) }
    return suiting + [.plainDots]
  }

  /// Those of tensor cores: products of bf16, and copies beside them, came with 8.0.
  package static func matrices(computeCapability: (UInt32, UInt32)?) -> [RoundedProducts] {
    computeCapability.map { $0 >= (8, 0) ? [.ptxMatrices] : [] } ?? []
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
