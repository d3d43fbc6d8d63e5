// The matrices of several experts in one buffer of a device: borrowed where host and device share memory, copied, or widened to f32.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// Where one matrix lies in the buffers: the struct `matrix` of matrix.cl.
struct MatrixPlace {
  var codes: Int64 = 0, rowBytes: Int64 = 0, scales: Int64 = 0, scaleStride: Int64 = 0, zeros: Int64 = -1
  var group: Int32 = 1, groupRows: Int32 = 1, globalScale: Float = 1, padding: Int32 = 0
}

/// Codes and planes of matrices of one variant.
struct DeviceMatrices {
  let codes: DeviceBuffer, planes: DeviceBuffer, places: [MatrixPlace]

  init(_ matrices: [HostMatrix], _ variant: KernelVariant, in context: OpenCLContext) throws(OpenCLError) {
    var places = [MatrixPlace](repeating: MatrixPlace(), count: matrices.count)
    if KernelVariant(of: matrices[0]) != variant {
      codes = try Self.widened(matrices, &places, in: context)
    } else if let common = Self.common(matrices, in: context) {
      codes = try DeviceBuffer(borrowing: common, owner: matrices[0].owner, in: context)
      for (index, matrix) in matrices.enumerated() {
        places[index].codes = Int64(matrix.borrowed.data - common.baseAddress!)
        places[index].rowBytes = matrix.borrowed.row_bytes
      }
    } else {
      codes = try Self.copied(matrices, &places, in: context)
    }
    planes = variant.scales == nil ? codes : try Self.planes(of: matrices, &places, in: context)
    self.places = places
  }

  /// The memory that all codes lie in, from the beginning of a page on; nil when they have to be copied.
  private static func common(_ matrices: [HostMatrix], in context: OpenCLContext) -> UnsafeRawBufferPointer? {
    guard context.device.sharesMemoryWithHost else { return nil }
    var lower = UInt.max, upper: UInt = 0
    for matrix in matrices {
      let first = UInt(bitPattern: matrix.codes.baseAddress)
      guard matrix.owner === matrices[0].owner, matrix.codes.count > 0, first % UInt(matrix.alignment) == 0 else { return nil }
      (lower, upper) = (min(lower, first), max(upper, first + UInt(matrix.codes.count)))
    }
    // Pages are mapped as a whole: the rest of the first, and up to the next 64 bytes of the last, can be read too.
    lower = lower / 4096 * 4096
    let count = Int((upper - lower + 63) / 64 * 64)
    return count <= context.device.maxAllocationBytes ? UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: lower), count: count) : nil
  }

  private static func copied(
    _ matrices: [HostMatrix], _ places: inout [MatrixPlace], in context: OpenCLContext
  ) throws(OpenCLError) -> DeviceBuffer {
    var end = 0
    for (index, matrix) in matrices.enumerated() {
      (places[index].codes, places[index].rowBytes) = (Int64(end), Int64(matrix.codeBytes))
      end = (end + matrix.rows * matrix.codeBytes + 63) / 64 * 64
    }
    let buffer = try DeviceBuffer(end, in: context), places = places
    try buffer.write(end) { memory in
      for (place, matrix) in zip(places, matrices) {
        for row in 0..<matrix.rows {
          let source = matrix.borrowed.data + row * Int(matrix.borrowed.row_bytes)
          (memory + Int(place.codes) + row * matrix.codeBytes).copyMemory(from: source, byteCount: matrix.codeBytes)
        }
      }
    }
    return buffer
  }

  /// Rows as f32, filled up with zeros to a multiple of eight columns.
  private static func widened(
    _ matrices: [HostMatrix], _ places: inout [MatrixPlace], in context: OpenCLContext
  ) throws(OpenCLError) -> DeviceBuffer {
    let columns = matrices[0].columns, width = (columns + 7) / 8 * 8, rowBytes = width * MemoryLayout<Float>.size
    var end = 0
    for (index, matrix) in matrices.enumerated() {
      (places[index].codes, places[index].rowBytes) = (Int64(end), Int64(rowBytes))
      end += matrix.rows * rowBytes
    }
    let buffer = try DeviceBuffer(end, in: context), places = places
    try buffer.write(end) { memory in
      withUnsafeTemporaryAllocation(of: Float.self, capacity: max(1, columns)) { stored in
        for (place, matrix) in zip(places, matrices) {
          for row in 0..<matrix.rows {
            let out = (memory + Int(place.codes) + row * rowBytes).assumingMemoryBound(to: Float.self)
            matrix.decode(row: row, stored.baseAddress!, into: out)
            for column in columns..<width { out[column] = 0 }
          }
        }
      }
    }
    return buffer
  }

  /// Scales as they are stored, and zero points.
  private static func planes(
    of matrices: [HostMatrix], _ places: inout [MatrixPlace], in context: OpenCLContext
  ) throws(OpenCLError) -> DeviceBuffer {
    var end = 0
    for (index, matrix) in matrices.enumerated() {
      let planes = matrix.planes
      places[index].scales = Int64(end)
      end = (end + planes.scales.count + 15) / 16 * 16
      if !planes.zeros.isEmpty { places[index].zeros = Int64(end) }
      end = (end + planes.zeros.count + 15) / 16 * 16
      places[index].scaleStride = Int64(matrix.scaleStride)
      places[index].group = Int32(clamping: matrix.borrowed.group)
      places[index].groupRows = Int32(clamping: matrix.groupRows)
      places[index].globalScale = matrix.borrowed.global_scale
    }
    let buffer = try DeviceBuffer(end, in: context), places = places
    try buffer.write(end) { memory in
      for (place, matrix) in zip(places, matrices) {
        for (start, plane) in [(place.scales, matrix.planes.scales), (place.zeros, matrix.planes.zeros)] where !plane.isEmpty {
          UnsafeMutableRawBufferPointer(start: memory + Int(start), count: plane.count).copyMemory(from: plane)
        }
      }
    }
    return buffer
  }
}
#endif
