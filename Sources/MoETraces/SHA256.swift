// SHA-256 (FIPS 180-4): the checksum of files that are passed on.

/// Takes a message in portions of any size.
package struct SHA256 {
  private var state: [UInt32] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19]
  private var words = [UInt32](repeating: 0, count: 64)
  /// Bytes that do not fill a block yet.
  private var rest: [UInt8] = []
  private var count: UInt64 = 0

  package init() {}

  /// Takes the next bytes.
  package mutating func update(_ bytes: UnsafeRawBufferPointer) {
    count += UInt64(bytes.count)
    var first = 0
    if !rest.isEmpty {
      first = min(64 - rest.count, bytes.count)
      rest += bytes[..<first]
      guard rest.count == 64 else { return }
      let whole = rest
      whole.withUnsafeBytes { block($0, 0) }
      rest.removeAll(keepingCapacity: true)
    }
    while first + 64 <= bytes.count {
      block(bytes, first)
      first += 64
    }
    rest += bytes[first...]
  }

  /// The 32 bytes of the whole message; nothing may follow.
  package mutating func digest() -> [UInt8] {
    let bits = count * 8, padding = [0x80] + [UInt8](repeating: 0, count: Int((119 - count % 64) % 64))
    padding.withUnsafeBytes { update($0) }
    withUnsafeBytes(of: bits.bigEndian) { update($0) }
    return state.flatMap { word in withUnsafeBytes(of: word.bigEndian, Array.init) }
  }

  private mutating func block(_ bytes: UnsafeRawBufferPointer, _ first: Int) {
    for index in 0..<16 { words[index] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: first + 4 * index, as: UInt32.self)) }
    for index in 16..<64 {
      let early = words[index - 15], late = words[index - 2]
      words[index] =
        words[index - 16] &+ (early.rotated(7) ^ early.rotated(18) ^ early >> 3) &+ words[index - 7]
        &+ (late.rotated(17) ^ late.rotated(19) ^ late >> 10)
    }
    var (a, b, c, d, e, f, g, h) = (state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7])
    for index in 0..<64 {
      let choice = e & f ^ ~e & g, majority = a & b ^ a & c ^ b & c
      let one = h &+ (e.rotated(6) ^ e.rotated(11) ^ e.rotated(25)) &+ choice &+ constants[index] &+ words[index]
      let two = (a.rotated(2) ^ a.rotated(13) ^ a.rotated(22)) &+ majority
      (a, b, c, d, e, f, g, h) = (one &+ two, a, b, c, d &+ one, e, f, g)
    }
    for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
  }
}

extension UInt32 {
  fileprivate func rotated(_ bits: UInt32) -> UInt32 { self >> bits | self << (32 - bits) }
}

private let constants: [UInt32] = [
  0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
  0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
  0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
  0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
  0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
  0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
  0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
  0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
]
