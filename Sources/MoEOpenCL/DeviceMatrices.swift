// The matrices of several experts in one buffer of a device: borrowed where host and device share memory, copied, or widened to f32.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// Where one matrix lies in the buffers: the struct `matrix` of matrix.cl.
struct MatrixPlace {
  var codes: Int64 = 0, rowBytes: Int64 = 0, scales: Int64 = 0, scaleStride: Int64 = 0, zeros: Int64 = -1, groups: Int64 = -1
  var group: Int32 = 1, groupRows: Int32 = 1, columns: Int32 = 0, kind: Int32 = 0, flags: Int32 = 0, globalScale: Float = 1
}

/// Codes and planes of matrices of one variant.
struct DeviceMatrices {
  let codes: DeviceBuffer, planes: DeviceBuffer, places: [MatrixPlace]

  init(_ matrices: [HostMatrix], _ variant: KernelVariant, in context: OpenCLContext) throws(OpenCLError) {
    var places = [MatrixPlace](repeating: MatrixPlace(), count: matrices.count)
    let kinds = matrices.map(variant.number(of:))
    if kinds.contains(nil) {
      codes = try Self.widened(matrices, &places, in: context)
      (planes, self.places) = (codes, places)
      return
    }
    for (index, kind) in kinds.enumerated() { (places[index].kind, places[index].globalScale) = (Int32(kind!), matrices[index].borrowed.global_scale) }
    if let common = Self.common(matrices, in: context) {
      codes = try DeviceBuffer(borrowing: common, owner: matrices[0].owner, in: context)
      for (index, matrix) in matrices.enumerated() {
        places[index].codes = Int64(matrix.borrowed.data - common.baseAddress!)
        places[index].rowBytes = matrix.borrowed.row_bytes
      }
    } else {
      codes = try Self.copied(matrices, &places, in: context)
    }
    planes = matrices.contains(where: \.hasScales) ? try Self.planes(of: matrices, &places, in: context) : codes
    self.places = places
  }

  /// The memory that all codes lie in, from the beginning of a page on; nil when they have to be copied.
  private static func common(_ matrices: [HostMatrix], in context: OpenCLContext) -> UnsafeRawBufferPointer? {
    guard context.usesHostMemory else { return nil }
    var lower = UInt.max, upper: UInt = 0
    for matrix in matrices {
      let first = UInt(bitPattern: matrix.codes.baseAddress)
      guard matrix.owner === matrices[0].owner, matrix.isReadable, first % UInt(matrix.alignment) == 0 else { return nil }
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
      (places[index].codes, places[index].rowBytes) = (Int64(end), Int64(matrix.filledBytes))
      end = (end + matrix.rows * matrix.filledBytes + 63) / 64 * 64
    }
    let buffer = try DeviceBuffer(end, in: context)
    for (place, matrix) in zip(places, matrices) {
      try buffer.write(matrix.rows, of: matrix.filledBytes, at: Int(place.codes)) { matrix.copy(row: $1, to: $0) }
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
    let buffer = try DeviceBuffer(end, in: context)
    var stored = [Float](repeating: 0, count: columns)
    for (place, matrix) in zip(places, matrices) {
      try buffer.write(matrix.rows, of: rowBytes, at: Int(place.codes)) { target, row in
        let out = target.assumingMemoryBound(to: Float.self)
        stored.withUnsafeMutableBufferPointer { matrix.decode(row: row, $0.baseAddress!, into: out) }
        for column in columns..<width { out[column] = 0 }
      }
    }
    return buffer
  }

  /// Scales as they are stored, zero points, and the groups of columns that are not neighbours.
  private static func planes(
    of matrices: [HostMatrix], _ places: inout [MatrixPlace], in context: OpenCLContext
  ) throws(OpenCLError) -> DeviceBuffer {
    var end = 0
    func room(_ plane: UnsafeRawBufferPointer) -> Int64 {
      defer { end = (end + plane.count + 15) / 16 * 16 }
      return Int64(end)
    }
    let groups = matrices.map(\.groupsOfColumns)
    for (index, matrix) in matrices.enumerated() {
      let planes = matrix.planes
      places[index].scales = room(planes.scales)
      if !planes.zeros.isEmpty { places[index].zeros = room(planes.zeros) }
      if let groups = groups[index] { places[index].groups = groups.withUnsafeBytes { room($0) } }
      places[index].scaleStride = Int64(matrix.scaleStride)
      places[index].group = Int32(clamping: matrix.borrowed.group)
      places[index].groupRows = Int32(clamping: matrix.groupRows)
      places[index].columns = Int32(matrix.columns)
      places[index].flags = (matrix.runsOn ? 1 : 0) | (matrix.sharesScales ? 0 : 2)
    }
    let buffer = try DeviceBuffer(end, in: context)
    for (index, place) in places.enumerated() {
      try buffer.write(matrices[index].planes.scales, at: Int(place.scales))
      try buffer.write(matrices[index].planes.zeros, at: Int(place.zeros))
      if let groups = groups[index] { try buffer.write(groups, at: Int(place.groups)) }
    }
    return buffer
  }
}
#endif
