// Random weights and activations: numbers that a seed determines.

import MoE

typealias SeededRandom = NormalNumbers

extension NormalNumbers {
  /// Values of unit variance, evenly spread: cheap enough for millions of activations.
  mutating func even(_ count: Int) -> [Float] {
    (0..<count).map { _ in Float(Int32(truncatingIfNeeded: bits() >> 32)) * Float(3.0.squareRoot() * 0x1p-31) }
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + 8)
    while bytes.count < count { withUnsafeBytes(of: bits().littleEndian) { bytes.append(contentsOf: $0) } }
    return Array(bytes.prefix(count))
  }
}
