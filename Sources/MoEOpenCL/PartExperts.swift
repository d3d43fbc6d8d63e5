// Which experts of a bank a launch computes.

#if OpenCL
/// The experts of a bank that one launch can compute: neighbours, or some of them.
struct PartExperts: Sendable {
  /// From the first to behind the last.
  let range: Range<Int>
  /// Of the range those that are there; empty for all.
  private let isHere: [Bool]

  init(_ range: Range<Int>) { (self.range, isHere) = (range, []) }

  /// - Parameter experts: some, ascending.
  init(_ experts: [Int]) {
    range = experts.first!..<experts.last! + 1
    var isHere = [Bool](repeating: false, count: range.count)
    for expert in experts { isHere[expert - range.lowerBound] = true }
    self.isHere = experts.count == range.count ? [] : isHere
  }

  /// True for neighbours.
  var isRange: Bool { isHere.isEmpty }

  func contains(_ expert: Int) -> Bool { range.contains(expert) && (isHere.isEmpty || isHere[expert - range.lowerBound]) }
}
#endif
