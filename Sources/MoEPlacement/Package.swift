// One processor package of a topology.

/// A processor package (socket).
public struct Package: Sendable, Hashable {
  /// The model's name as the CPU states it, empty when unknown.
  public let model: String
  /// OS indices of the package's processing units, ascending.
  public let processingUnits: [Int]
}
