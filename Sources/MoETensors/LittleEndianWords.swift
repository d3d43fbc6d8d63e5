// Words of 64 bits among bytes, as the package's own files hold them: the lowest byte first.

extension [UInt8] {
  /// The u64 at `offset`.
  package func word(_ offset: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(self[offset + $1]) << UInt64(8 * $1) } }
}

extension UInt64 {
  package static func bytes(_ words: [UInt64]) -> [UInt8] {
    words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }
  }
}

extension Checksum {
  package static func of(bytes: ArraySlice<UInt8>) -> UInt64 { bytes.withUnsafeBytes { of($0) } }
}
