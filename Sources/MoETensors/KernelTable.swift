// The kernels of one ISA, chosen at run time.

package import CMoEKernels

/// Every kernel compiled for one instruction set; a value that callers hold, never a global choice.
public struct KernelTable: Sendable, Hashable, CustomStringConvertible {
  let index: Int32

  package var row: UnsafePointer<moe_kernels> { moe_kernels_at(index) }

  /// The tables that this machine can run, best first; the last is "scalar".
  public static let runnable: [KernelTable] = (0..<moe_kernels_count()).map(KernelTable.init(index:)).filter(\.isSupported)

  /// Names of the tables compiled in that this machine cannot run.
  public static let missing: [String] = (0..<moe_kernels_count()).map(KernelTable.init(index:)).filter { !$0.isSupported }.map(\.name)

  /// The best table of this machine.
  public static var best: KernelTable { runnable[0] }

  /// The runnable table called `name`, or nil.
  public init?(named name: String) {
    guard let table = Self.runnable.first(where: { $0.name == name }) else { return nil }
    self = table
  }

  init(index: Int32) { self.index = index }

  var isSupported: Bool { row.pointee.supported() }

  /// The instruction set: "scalar", "avx2".
  public var name: String { String(cString: row.pointee.name) }
  public var description: String { name }

  /// Name of the GEMM kernel that runs on weights of `format`: "gemm_q4_0_avx2".
  public func gemmName(_ format: WeightFormat) -> String { String(cString: row.pointee.formats[Int(format.index)].name) }

  /// Name of the kernel that runs on activations of this precision, nil for formats without one: "gemm_int8_q4_0_avx2".
  public func gemmName(_ format: WeightFormat, on activations: ActivationPrecision) -> String? {
    let kernels = row.pointee.formats[Int(format.index)]
    let name =
      switch activations {
      case .float: kernels.name
      case .int8: kernels.int8_name
      case .bfloat16: kernels.bf16_name
      }
    return name.map { String(cString: $0) }
  }
}
