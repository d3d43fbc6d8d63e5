// 64 encoded rows from which the rows of a large tensor are drawn.

import Foundation
import MoE

/// Bytes of 64 rows; row r of a tensor is one of them, picked by a hash of the tensor and of r.
final class RowPattern: Sendable {
  static let count: UInt64 = 64
  let rowBytes: Int
  private let rows: [UInt8]

  init(rows: [UInt8]) {
    self.rows = rows
    rowBytes = rows.count / Int(Self.count)
  }

  /// Rows of `columns` weights of this deviation.
  ///
  /// Formats that the package cannot write get random blocks; blocks with scales far off, or no numbers at all, are drawn again.
  convenience init(_ format: WeightFormat, columns: Int, deviation: Double, _ random: inout SeededRandom) throws {
    var rows: [UInt8] = []
    if format.isEncodable {
      for _ in 0..<Self.count { rows += try format.encode(random.normal(columns, deviation: deviation)) }
    } else {
      for _ in 0..<Int(Self.count) * columns / format.blockValues {
        var block: [UInt8] = []
        for _ in 0..<10_000 {
          block = random.bytes(format.blockBytes)
          let values = try block.withUnsafeBytes { try format.decode($0, count: format.blockValues) }
          let largest = values.reduce(Float(0)) { $1.isFinite ? max($0, abs($1)) : .infinity }
          if largest > Float(deviation), largest < Float(16 * deviation) { break }
        }
        rows += block
      }
    }
    self.init(rows: rows)
  }

  /// Rows of random bytes: codes of formats in which every byte is a code.
  convenience init(codes rowBytes: Int, _ random: inout SeededRandom) {
    self.init(rows: random.bytes(Int(Self.count) * rowBytes))
  }

  /// Rows `range` of the tensor with this salt.
  func fill(_ range: Range<Int>, salt: UInt64, into target: UnsafeMutableRawBufferPointer) {
    rows.withUnsafeBytes { rows in
      for (index, row) in range.enumerated() {
        let source = Int(SeededRandom.mixed(salt &+ UInt64(row) &* 0x9E37_79B9_7F4A_7C15) % Self.count) * rowBytes
        (target.baseAddress! + index * rowBytes).copyMemory(from: rows.baseAddress! + source, byteCount: rowBytes)
      }
    }
  }
}

/// One tensor of a layer that exists only as a seed.
struct SyntheticTensor {
  enum Content {
    /// All bytes.
    case whole([UInt8])
    /// Rows drawn from a pattern.
    case rows(RowPattern)
  }
  let declaration: TensorDeclaration
  let content: Content

  static func floats(_ name: String, _ shape: [Int], _ values: [Float]) -> SyntheticTensor {
    SyntheticTensor(
      declaration: TensorDeclaration(name: name, type: .f32, shape: shape),
      content: .whole(values.withUnsafeBytes(Array.init)))
  }

  var byteCount: Int { get throws {
    try TensorView.byteCount(name: declaration.name, type: declaration.type, shape: declaration.shape)
  } }

  /// What picks this tensor's rows: a hash of its name (FNV-1a).
  private var salt: UInt64 { declaration.name.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 } }

  /// The bytes in pieces of a few MiB, in order.
  func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    switch content {
    case .whole(let bytes): try bytes.withUnsafeBytes(body)
    case .rows(let pattern):
      let total = try byteCount / pattern.rowBytes, step = max(1, (4 << 20) / pattern.rowBytes)
      let piece = AlignedBuffer(byteCount: step * pattern.rowBytes)
      for first in stride(from: 0, to: total, by: step) {
        let range = first..<min(first + step, total)
        pattern.fill(range, salt: salt, into: piece.bytes)
        try body(UnsafeRawBufferPointer(rebasing: piece.bytes[..<(range.count * pattern.rowBytes)]))
      }
    }
  }

  /// The tensor in memory, filled by all workers.
  func view(_ pool: WorkerPool) throws -> TensorView {
    let buffer = AlignedBuffer(byteCount: try byteCount)
    switch content {
    case .whole(let bytes): buffer.bytes.copyBytes(from: bytes)
    case .rows(let pattern):
      let total = buffer.bytes.count / pattern.rowBytes, step = max(1, (1 << 20) / pattern.rowBytes), salt = salt
      pool.run(tasks: (total + step - 1) / step) { task, _ in
        let range = task * step..<min((task + 1) * step, total)
        let bytes = range.lowerBound * pattern.rowBytes..<range.upperBound * pattern.rowBytes
        pattern.fill(range, salt: salt, into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[bytes]))
      }
    }
    return try TensorView(
      name: declaration.name, type: declaration.type, shape: declaration.shape, bytes: UnsafeRawBufferPointer(buffer.bytes), owner: buffer)
  }
}
