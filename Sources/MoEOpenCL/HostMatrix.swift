// A weight matrix in the host's memory, as it goes to a device.

#if OpenCL
import CMoEKernels
import MoEExperts
import MoETensors

/// A borrowed matrix with what keeps it.
struct HostMatrix {
  let borrowed: moe_matrix
  let owner: AnyObject
  /// Stored column j multiplies input `order[j]`; nil for the identity.
  let order: [Int32]?

  /// The published weights, where panels keep them.
  init(_ packed: PackedMatrix) {
    let matrix = packed.published ?? packed
    (borrowed, owner, order) = (matrix.borrowed, matrix.holder, matrix.inputOrder)
  }

  /// Codes at `borrowed.data`, which `owner` keeps.
  init(_ borrowed: moe_matrix, owner: AnyObject) {
    (self.borrowed, self.owner, order) = (borrowed, owner, nil)
  }

  var rows: Int { Int(borrowed.rows) }
  var columns: Int { Int(borrowed.columns) }
  private var format: WeightFormat { WeightFormat(index: borrowed.format) }

  /// Bytes of the codes of one row.
  var codeBytes: Int { columns / format.blockValues * format.blockBytes }

  /// From the first code to the last, with what lies between rows that do not touch.
  var codes: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: borrowed.data, count: rows == 0 ? 0 : (rows - 1) * Int(borrowed.row_bytes) + codeBytes)
  }

  /// Bytes of a row filled up to a multiple of eight columns, as kernels read it.
  var filledBytes: Int { (columns + 7) / 8 * 8 / format.blockValues * format.blockBytes }

  /// True when kernels can read the codes where they lie.
  var isReadable: Bool { codes.count > 0 && filledBytes == codeBytes && order == nil }

  /// What the address of the codes has to be a multiple of for kernels to read them.
  var alignment: Int { format.blockBytes % 4 == 0 && format.blockValues == 1 ? 4 : format.blockBytes % 2 == 0 ? 2 : 1 }

  /// Copies a row, columns in the order of the input, zeros behind them.
  func copy(row: Int, to target: UnsafeMutableRawPointer) {
    let source = borrowed.data + row * Int(borrowed.row_bytes)
    guard let order else {
      target.copyMemory(from: source, byteCount: codeBytes)
      (target + codeBytes).initializeMemory(as: UInt8.self, repeating: 0, count: filledBytes - codeBytes)
      return
    }
    let codes = source.assumingMemoryBound(to: UInt8.self), ordered = target.initializeMemory(as: UInt8.self, repeating: 0, count: filledBytes)
    for (stored, column) in order.enumerated() {
      ordered[Int(column) / 2] |= (codes[stored / 2] >> UInt8(stored % 2 * 4) & 15) << UInt8(column % 2 * 4)
    }
  }

  var hasScales: Bool { borrowed.scale_type != MOE_SCALE_NONE }

  /// True when groups run on from one row to the next.
  var runsOn: Bool { borrowed.flat && borrowed.columns % borrowed.group != 0 }

  /// True when eight columns, from a multiple of eight on, share a scale.
  var sharesScales: Bool {
    order == nil && (runsOn ? borrowed.group % 8 == 0 && columns % 8 == 0 : borrowed.group % 8 == 0 || borrowed.group >= borrowed.columns)
  }

  /// The group of each column; nil where neighbours share one.
  var groupsOfColumns: [Int32]? {
    guard let order, hasScales else { return nil }
    var groups = [Int32](repeating: 0, count: columns)
    for (stored, column) in order.enumerated() { groups[Int(column)] = Int32(stored / Int(borrowed.group)) }
    return groups
  }

  /// Scales from one row of groups to the next, and rows of one such row.
  var scaleStride: Int { borrowed.flat ? columns / Int(borrowed.group) : Int(borrowed.scale_stride) }
  var groupRows: Int { borrowed.flat ? 1 : max(1, Int(borrowed.group_rows)) }

  /// The scales and the zero points, empty where there are none.
  var planes: (scales: UnsafeRawBufferPointer, zeros: UnsafeRawBufferPointer) {
    guard hasScales, rows > 0, columns > 0 else { return (.init(start: nil, count: 0), .init(start: nil, count: 0)) }
    let group = Int(borrowed.group)
    let count = runsOn ? (rows * columns - 1) / group + 1 : (rows - 1) / groupRows * scaleStride + (columns - 1) / group + 1
    let width = switch borrowed.scale_type { case MOE_SCALE_F32: 4; case MOE_SCALE_F16, MOE_SCALE_BF16: 2; default: 1 }
    return (
      UnsafeRawBufferPointer(start: borrowed.scales, count: count * width),
      UnsafeRawBufferPointer(start: borrowed.zeros, count: borrowed.zeros == nil ? 0 : count)
    )
  }

  /// Widens one row to f32, columns in the order of the input; `stored` has room for a row.
  func decode(row: Int, _ stored: UnsafeMutablePointer<Float>, into out: UnsafeMutablePointer<Float>) {
    withUnsafePointer(to: borrowed) { moe_matrix_decode($0, Int64(row), 0, Int64(columns), order == nil ? out : stored) }
    guard let order else { return }
    for column in 0..<columns { out[Int(order[column])] = stored[column] }
  }

  /// The same, filled up with zeros to a multiple of eight columns.
  func widen(row: Int, to target: UnsafeMutableRawPointer) {
    let out = target.assumingMemoryBound(to: Float.self)
    withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { decode(row: row, $0.baseAddress!, into: out) }
    for column in columns..<(columns + 7) / 8 * 8 { out[column] = 0 }
  }
}
#endif
