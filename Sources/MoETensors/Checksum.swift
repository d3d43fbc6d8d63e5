// A checksum of bytes that is taken at the speed of memory.

/// 64 bits that change when the bytes do: a damaged word always changes them, anything else but for one chance in 2^64.
///
/// Eight lanes of 64-bit words, lane by lane: state <- rotate((state ^ word) * odd constant). Each step is a bijection of the lane's
/// state. It tells damage, not intent: whoever can write the bytes can also make the checksum fit.
package struct Checksum {
  private static let factor: UInt64 = 0xB9E5_37A1_6C8D_F24B

  @inline(__always)
  private static func step(_ state: UInt64, _ word: UInt64) -> UInt64 {
    let product = (state ^ word) &* factor
    return product << 29 | product >> 35
  }

  /// The checksum of `bytes`; another `seed` makes it another function.
  package static func of(_ bytes: UnsafeRawBufferPointer, seed: UInt64 = 0) -> UInt64 {
    var (a, b, c, d) = (seed ^ 0x1D, seed ^ 0x2B, seed ^ 0x3F, seed ^ 0x47)
    var (e, f, g, h) = (seed ^ 0x59, seed ^ 0x6D, seed ^ 0x71, seed ^ 0x8B)
    let whole = bytes.count / 64 * 64
    if let base = bytes.baseAddress {
      for offset in stride(from: 0, to: whole, by: 64) {
        let place = base + offset
        a = step(a, UInt64(littleEndian: place.loadUnaligned(as: UInt64.self)))
        b = step(b, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
        c = step(c, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 16, as: UInt64.self)))
        d = step(d, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
        e = step(e, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 32, as: UInt64.self)))
        f = step(f, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 40, as: UInt64.self)))
        g = step(g, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 48, as: UInt64.self)))
        h = step(h, UInt64(littleEndian: place.loadUnaligned(fromByteOffset: 56, as: UInt64.self)))
      }
    }
    var sum = UInt64(bytes.count)
    for lane in [a, b, c, d, e, f, g, h] { sum = step(sum, lane) }
    for byte in bytes[whole...] { sum = step(sum, UInt64(byte)) }
    sum = (sum ^ sum >> 32) &* factor
    return sum ^ sum >> 29
  }

  /// The checksum of a list of checksums.
  package static func of(_ checksums: [UInt64]) -> UInt64 {
    checksums.map(\.littleEndian).withUnsafeBytes { of($0) }
  }
}
