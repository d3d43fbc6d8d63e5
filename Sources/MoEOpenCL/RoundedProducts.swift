// How products on rounded activations are computed: plain C, and what some compilers and devices have beyond it.

#if OpenCL
import CMoEOpenCL
import MoEPlacement
#endif
package import MoETensors

/// A variant of the products on int8 or bf16 activations.
package enum RoundedProducts: Hashable, Sendable {
  /// int8 in tiles: four products at a time; few rows by subgroups where these can be used.
  case dots(Dots, Subgroups? = nil)
  /// int8 in panels.
  case panels(LevelPanels)
  /// bf16 or int8 by tensor cores.
  case matrices(MatrixUnits, ActivationPrecision)
  /// bf16 by the kernels for f32.
  case widenedFloats

  /// What computes four products of int8; by the names of their sources.
  package enum Dots: String, Sendable {
    case plain = "dot_plain"
    /// By half arithmetic, where that is exact.
    case half = "dot_half"
    /// By the extensions of their names.
    case khronos = "dot_khr"
    case arm = "dot_arm"
    /// By an instruction of NVIDIA's devices.
    case ptx = "dot_ptx"
  }

  /// What lanes exchange sums by; by the names of their sources.
  package enum Subgroups: String, Sendable {
    /// By the extension for subgroups.
    case khronos = "subgroup_khr"
    /// By an instruction of NVIDIA's devices.
    case ptx = "subgroup_ptx"
    /// In plain C, for tests.
    case emulated = "subgroup_emulated"
  }

  /// What levels are in a panel; by the names of their sources.
  package enum LevelPanels: String, Sendable {
    case floats = "panel_floats"
    /// By 512-bit vectors of x86-64.
    case bytes = "panel_bytes"
  }

  /// Tensor cores; by the names of their sources.
  package enum MatrixUnits: String, Sendable {
    /// NVIDIA's.
    case ptx = "mma_ptx"
    /// What those do in plain C, for tests.
    case emulated = "mma_emulated"
  }

  package var name: String {
    switch self {
    case .dots(let dots, let subgroups): dots.rawValue + (subgroups.map { " and \($0.rawValue)" } ?? "")
    case .panels(let panels): panels.rawValue
    case .matrices(let units, _): units.rawValue
    case .widenedFloats: "widened_floats"
    }
  }

  /// What activations are rounded to.
  package var precision: ActivationPrecision {
    switch self {
    case .dots, .panels: .int8
    case .matrices(_, let precision): precision
    case .widenedFloats: .bfloat16
    }
  }

  /// True for tensor cores, or what stands for them.
  var usesMatrices: Bool { if case .matrices = self { true } else { false } }

  /// True where lanes exchange sums.
  var usesSubgroups: Bool { if case .dots(_, .some) = self { true } else { false } }

  /// The sources that those of the kernels build on.
  var sources: [String] {
    switch self {
    case .dots(let dots, let subgroups):
      ["integers", dots.rawValue] + (dots == .half ? [] : ["dot_sums"]) + [subgroups?.rawValue].compactMap(\.self)
    case .panels: ["integers", "panel_levels", name]
    case .matrices(_, .int8): ["integers", name, "warps", "product_mma_int8"]
    case .matrices: [name, "warps", "product_mma"]
    case .widenedFloats: []
    }
  }

  /// An OpenCL C that has what the sources call.
  var language: String {
    switch self {
    case .dots(.khronos, _), .dots(_, .khronos): "CL3.0"
    default: "CL1.2"
    }
  }
}

#if OpenCL
extension RoundedProducts {
  /// Those that suit matrices of one kind on a device by what it says of itself, by expectation the best first; plain C is the last.
  static func suiting(
    _ kind: MatrixKind, _ precision: ActivationPrecision, _ shape: TileShape, on context: OpenCLContext
  ) -> [RoundedProducts] {
    if let only = context.options.roundedProducts, only.precision == precision, shape.method == .tiles { return [only] }
    if shape.method == .panels {
      if precision == .bfloat16 { return [.widenedFloats] }
      // A device on the CPU is the host.
      return KernelTable(named: "avx512") == nil ? [.panels(.floats)] : [.panels(.bytes), .panels(.floats)]
    }
    let capability = computeCapability(context)
    let matrices = matrices(precision, computeCapability: shape.bytesOfStages(precision) <= context.localBytes ? capability : nil)
    guard precision == .bfloat16 else {
      let subgroups = subgroups(context.device.extensions, computeCapability: capability)
      let dots = dots(context.device.extensions, computeCapability: capability, isExactInHalf: kind.isExactInHalf)
      return matrices + dots.flatMap { dots in [subgroups.map { .dots(dots, $0) }, .dots(dots)].compactMap(\.self) }
    }
    // bf16 weights are copied by sixteen bytes, at multiples of that where they are not the host's.
    return (context.usesHostMemory ? [] : matrices) + [.widenedFloats]
  }

  /// Those of int8 tiles by the extensions and, of NVIDIA's devices, the compute capability; its instruction came with 6.1.
  package static func dots(_ extensions: Set<String>, computeCapability: (UInt32, UInt32)?, isExactInHalf: Bool) -> [Dots] {
    var suiting: [Dots] = []
    if let computeCapability, computeCapability >= (6, 1) { suiting.append(.ptx) }
    if extensions.contains("cl_khr_integer_dot_product") { suiting.append(.khronos) }
    if extensions.contains("cl_arm_integer_dot_product_accumulate_int8") { suiting.append(.arm) }
    if isExactInHalf, extensions.contains("cl_khr_fp16") { suiting.append(.half) }
    return suiting + [.plain]
  }

  /// What lanes of a device exchange sums by. NVIDIA's have the instruction from 3.0 on, and report no subgroups.
  package static func subgroups(_ extensions: Set<String>, computeCapability: (UInt32, UInt32)?) -> Subgroups? {
    computeCapability != nil ? .ptx : extensions.contains("cl_khr_subgroup_shuffle") ? .khronos : nil
  }

  /// Those of tensor cores: products of bf16 and of 32 columns of int8, and copies beside them, came with 8.0.
  package static func matrices(_ precision: ActivationPrecision, computeCapability: (UInt32, UInt32)?) -> [RoundedProducts] {
    computeCapability.map { $0 >= (8, 0) ? [.matrices(.ptx, precision)] : [] } ?? []
  }

  /// CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, and MINOR.
  private static func computeCapability(_ context: OpenCLContext) -> (UInt32, UInt32)? {
    guard context.device.extensions.contains("cl_nv_device_attribute_query"), let major = try? context.info.number(0x4000, as: UInt32.self),
      let minor = try? context.info.number(0x4001, as: UInt32.self)
    else { return nil }
    return (major, minor)
  }
}
#endif
