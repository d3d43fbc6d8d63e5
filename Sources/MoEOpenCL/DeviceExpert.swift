// One expert in memory of a device, which the banks of several layers may share.

#if OpenCL
import CMoEKernels
import MoEExperts
import MoEPlacement

/// An expert's matrices in its part of a buffer.
final class DeviceExpert: Sendable {
  /// What tells experts apart, and how they were written: where published codes and scales lie, and which matrices are widened.
  struct Key: Hashable, Sendable {
    private let addresses: [UInt], isWidened: [Bool]

    /// - Parameter matrices: with the variants that read them.
    init(_ matrices: [(HostMatrix, KernelVariant)]) {
      addresses = matrices.flatMap { [UInt(bitPattern: $0.0.borrowed.data), UInt(bitPattern: $0.0.borrowed.scales)] }
      isWidened = matrices.map { $1.number(of: $0) == nil }
    }
  }

  let key: Key, part: DevicePart
  /// Of up, down and, where there is one, the gate.
  let places: [MatrixPlace]
  /// Keeps what the key's addresses mean.
  private let expert: Expert

  /// Writes an expert into `part`; on the device's thread.
  init(_ expert: Expert, _ matrices: [(HostMatrix, KernelVariant)], in part: DevicePart, of context: OpenCLContext) throws(OpenCLError) {
    (key, self.part, self.expert) = (Key(matrices), part, expert)
    let layouts = Self.layouts(matrices, from: part.range.lowerBound)
    places = layouts.map { $0.places[0] }
    for layout in layouts { try layout.write(to: part.whole.buffer, in: context) }
  }

  /// Bytes that such an expert takes.
  static func byteCount(_ matrices: [(HostMatrix, KernelVariant)]) -> Int { layouts(matrices, from: 0).last!.end }

  private static func layouts(_ matrices: [(HostMatrix, KernelVariant)], from start: Int) -> [MatrixLayout] {
    matrices.reduce(into: []) { layouts, matrix in layouts.append(MatrixLayout([matrix.0], matrix.1, from: layouts.last?.end ?? start)) }
  }
}
#endif
