// One cache of a topology.

/// A data or unified cache.
public struct Cache: Sendable, Hashable {
  /// 1 is nearest to the core.
  public let level: Int
  /// Size in bytes.
  public let bytes: Int
  /// Bytes of one line, 0 when unknown.
  public let lineBytes: Int
  /// OS indices of the processing units that share the cache, ascending.
  public let processingUnits: [Int]
}
