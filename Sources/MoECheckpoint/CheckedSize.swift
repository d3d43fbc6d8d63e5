// The one type in which numbers read from files are added, multiplied and padded.

/// A count, size or offset taken from a file: zero or more, at most `Int.max`, every operation checked.
///
/// Raw `+`, `*` and padding on such numbers are how most published loader defects began; here they return nil instead of wrapping.
package struct CheckedSize: Sendable, Hashable, Comparable {
  /// The number, never negative.
  package let value: Int

  package static let zero = CheckedSize(unchecked: 0)

  private init(unchecked value: Int) { self.value = value }

  /// The number, or nil when it is negative or does not fit in `Int`.
  package init?(_ number: some BinaryInteger) {
    guard let value = Int(exactly: number), value >= 0 else { return nil }
    self.value = value
  }

  /// The sum, or nil when it does not fit.
  package func plus(_ other: CheckedSize) -> CheckedSize? {
    let (sum, overflow) = value.addingReportingOverflow(other.value)
    return overflow ? nil : CheckedSize(unchecked: sum)
  }

  /// The product, or nil when it does not fit.
  package func times(_ other: CheckedSize) -> CheckedSize? {
    let (product, overflow) = value.multipliedReportingOverflow(by: other.value)
    return overflow ? nil : CheckedSize(unchecked: product)
  }

  /// The next multiple of `alignment`, or nil when it does not fit or `alignment` is not a power of two.
  package func padded(to alignment: Int) -> CheckedSize? {
    guard alignment > 0, alignment & (alignment - 1) == 0 else { return nil }
    let (sum, overflow) = value.addingReportingOverflow(alignment - 1)
    return overflow ? nil : CheckedSize(unchecked: sum & ~(alignment - 1))
  }

  package static func < (left: CheckedSize, right: CheckedSize) -> Bool { left.value < right.value }
}
