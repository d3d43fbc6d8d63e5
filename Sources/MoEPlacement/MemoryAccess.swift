// How fast nodes reach each other's memory, as far as firmware and system tell.

/// Bandwidth and latency of one node's cores in one node's memory, as the firmware states them.
public struct MemoryAccess: Sendable, Hashable {
  /// Index into `Topology.nodes` of the node whose cores read.
  public let from: Int
  /// Index into `Topology.nodes` of the node whose memory is read.
  public let to: Int
  /// Bytes a second, nil when not told.
  public var bandwidth: Double?
  /// Seconds, nil when not told.
  public var latency: Double?
}

extension Topology {
  /// Bytes a second that the firmware states for `from`'s cores in `to`'s memory, nil when it does not.
  public func bandwidth(from: Int, to: Int) -> Double? { accesses.first { $0.from == from && $0.to == to }?.bandwidth }

  /// Seconds that the firmware states, nil when it does not.
  public func latency(from: Int, to: Int) -> Double? { accesses.first { $0.from == from && $0.to == to }?.latency }

  /// The system's relative latency of `to`'s memory for `from`'s cores, 1 for its own; nil when it does not tell.
  public func relativeLatency(from: Int, to: Int) -> Double? {
    guard !distances.isEmpty, distances[from][from] > 0 else { return nil }
    return Double(distances[from][to]) / Double(distances[from][from])
  }
}
