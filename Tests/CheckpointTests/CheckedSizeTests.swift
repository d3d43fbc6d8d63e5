// Arithmetic on numbers from files.

import MoECheckpoint
import Testing

@Suite struct CheckedSizeTests {
  @Test func nothingWraps() throws {
    #expect(CheckedSize(-1) == nil)
    #expect(CheckedSize(UInt64.max) == nil)
    let big = try #require(CheckedSize(Int.max))
    let one = try #require(CheckedSize(1))
    let two = try #require(CheckedSize(2))
    #expect(big.plus(one) == nil)
    #expect(big.times(two) == nil)
    #expect(big.padded(to: 32) == nil)
    #expect(big.times(.zero) == .zero)
    #expect(one.plus(two)?.value == 3)
    #expect(one.padded(to: 32)?.value == 32)
    #expect(CheckedSize(32)?.padded(to: 32)?.value == 32)
    for alignment in [0, -1, 3, Int.min, Int.max] { #expect(one.padded(to: alignment) == nil) }
  }
}
