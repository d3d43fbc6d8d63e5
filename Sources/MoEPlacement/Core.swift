// One core of a topology.

/// A core, with one or more processing units (hardware threads).
public struct Core: Sendable, Hashable {
  /// Index into `Topology.packages`.
  public let package: Int
  /// Index into `Topology.nodes` of the first node near the core.
  public let node: Int
  /// OS indices of the core's processing units, ascending.
  public let processingUnits: [Int]
}
