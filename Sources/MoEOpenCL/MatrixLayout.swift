// Where matrices lie in a buffer of a device, and what is written there: codes as published or widened to f32, scales, zero points, groups.

#if OpenCL
import CMoEKernels
import MoEPlacement
import MoETensors

/// Where one matrix lies in the buffers: the struct `matrix` of matrix.cl.
struct MatrixPlace {
  var codes: Int64 = 0, rowBytes: Int64 = 0, scales: Int64 = 0, scaleStride: Int64 = 0, zeros: Int64 = -1, groups: Int64 = -1
  var group: Int32 = 1, groupRows: Int32 = 1, columns: Int32 = 0, kind: Int32 = 0, flags: Int32 = 0, globalScale: Float = 1
}

/// Matrices one after another, the codes of all and then what belongs to them.
struct MatrixLayout {
  private(set) var places: [MatrixPlace]
  /// Behind the last byte, from which the layout began on; a multiple of 64.
  private(set) var end: Int
  private let matrices: [HostMatrix], isWidened: [Bool], borrowsCodes: Bool

  /// - Parameters:
  ///   - start: the first byte, a multiple of 64.
  ///   - borrowed: where the codes lie that stay where they are; nil to write them too.
  init(_ matrices: [HostMatrix], _ variant: KernelVariant, from start: Int = 0, borrowed: UnsafeRawPointer? = nil) {
    let kinds = matrices.map(variant.number(of:))
    self.matrices = matrices
    isWidened = kinds.map { $0 == nil }
    borrowsCodes = borrowed != nil
    places = zip(kinds, matrices).map { kind, matrix in
      kind.map { MatrixPlace(kind: Int32($0), globalScale: matrix.borrowed.global_scale) } ?? MatrixPlace()
    }
    end = start
    for (index, matrix) in matrices.enumerated() {
      if let borrowed {
        (places[index].codes, places[index].rowBytes) = (Int64(matrix.borrowed.data - borrowed), matrix.borrowed.row_bytes)
      } else {
        places[index].rowBytes = Int64(isWidened[index] ? (matrix.columns + 7) / 8 * 8 * MemoryLayout<Float>.size : matrix.filledBytes)
        places[index].codes = room(matrix.rows * Int(places[index].rowBytes))
      }
    }
    for (index, matrix) in matrices.enumerated() where matrix.hasScales && !isWidened[index] {
      let planes = matrix.planes
      places[index].scales = room(planes.scales.count)
      if !planes.zeros.isEmpty { places[index].zeros = room(planes.zeros.count) }
      if let groups = matrix.groupsOfColumns { places[index].groups = room(groups.count * MemoryLayout<Int32>.stride) }
      places[index].scaleStride = Int64(matrix.scaleStride)
      places[index].group = Int32(clamping: matrix.borrowed.group)
      places[index].groupRows = Int32(clamping: matrix.groupRows)
      places[index].columns = Int32(matrix.columns)
      places[index].flags = (matrix.runsOn ? 1 : 0) | (matrix.sharesScales ? 0 : 2)
    }
  }

  private mutating func room(_ byteCount: Int) -> Int64 {
    defer { end += (byteCount + 63) / 64 * 64 }
    return Int64(end)
  }

  /// Writes all of it in pieces, between which the device does others' work; on its thread.
  func write(to buffer: DeviceBuffer, in context: OpenCLContext) throws(OpenCLError) {
    for (index, matrix) in matrices.enumerated() {
      let place = places[index], rowBytes = Int(place.rowBytes), step = max(1, Self.pieceBytes / max(1, rowBytes))
      for first in stride(from: 0, to: borrowsCodes ? 0 : matrix.rows, by: step) {
        try buffer.write(min(step, matrix.rows - first), of: rowBytes, at: Int(place.codes) + first * rowBytes) { target, row in
          if isWidened[index] { matrix.widen(row: first + row, to: target) } else { matrix.copy(row: first + row, to: target) }
        }
        context.letOthersIn()
      }
      guard matrix.hasScales, !isWidened[index] else { continue }
      try buffer.write(matrix.planes.scales, at: Int(place.scales))
      try buffer.write(matrix.planes.zeros, at: Int(place.zeros))
      if let groups = matrix.groupsOfColumns { try buffer.write(groups, at: Int(place.groups)) }
    }
  }

  /// What a call waits for while others' weights are written: a millisecond or less.
  private static let pieceBytes = 4 << 20
}
#endif
