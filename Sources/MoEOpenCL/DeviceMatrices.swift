// The matrices of several experts on a device: codes borrowed where host and device share memory, or all in a buffer.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// Codes and planes of matrices of one variant.
struct DeviceMatrices {
  let codes: DeviceBuffer, planes: DeviceBuffer, places: [MatrixPlace]

  /// Matrices that lie there.
  init(codes: DeviceBuffer, planes: DeviceBuffer, places: [MatrixPlace]) { (self.codes, self.planes, self.places) = (codes, planes, places) }

  /// Matrices in buffers of their own.
  init(_ matrices: [HostMatrix], _ variant: KernelVariant, in context: OpenCLContext) throws(OpenCLError) {
    let isRead = matrices.allSatisfy { variant.number(of: $0) != nil }, most = context.device.maxAllocationBytes
    let common = isRead ? Self.common(matrices, in: context).flatMap { $0.count <= most ? $0 : nil } : nil
    let layout = MatrixLayout(matrices, variant, borrowed: common?.baseAddress)
    places = layout.places
    if let common {
      codes = try DeviceBuffer(borrowing: common, owner: matrices[0].owner, in: context)
      planes = layout.end > 0 ? try DeviceBuffer(layout.end, in: context) : codes
    } else {
      codes = try DeviceBuffer(layout.end, in: context)
      planes = codes
    }
    try layout.write(to: planes, in: context)
  }

  /// The memory that all codes lie in, from the beginning of a page on; nil when they have to be copied.
  static func common(_ matrices: [HostMatrix], in context: OpenCLContext) -> UnsafeRawBufferPointer? {
    guard context.usesHostMemory else { return nil }
    var lower = UInt.max, upper: UInt = 0
    for matrix in matrices {
      let first = UInt(bitPattern: matrix.codes.baseAddress)
      guard matrix.owner === matrices[0].owner, matrix.isReadable, first % UInt(matrix.alignment) == 0 else { return nil }
      (lower, upper) = (min(lower, first), max(upper, first + UInt(matrix.codes.count)))
    }
    // Pages are mapped as a whole: the rest of the first, and up to the next 64 bytes of the last, can be read too.
    lower = lower / 4096 * 4096
    return UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: lower), count: Int((upper - lower + 63) / 64 * 64))
  }
}
#endif
