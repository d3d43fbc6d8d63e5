// One NUMA node of a topology.

/// A NUMA node: memory, and the cores nearest to it. A node may hold memory only (HBM, CXL).
public struct NUMANode: Sendable, Hashable {
  /// The operating system's number of the node.
  public let osIndex: Int
  /// Bytes of memory attached to the node.
  public let memoryBytes: Int
  /// The node's cores, as indices into `Topology.cores`.
  public let cores: [Int]
  /// OS indices of the node's processing units, ascending.
  public let processingUnits: [Int]
  /// The kind of memory as hwloc names it ("DRAM", "HBM", "NVM"), nil when the system does not tell.
  public var memoryKind: String?
  /// Which machine of a cluster it is in; 0 for the one there is.
  public var machine = 0

  /// The processing units in list form: "0-3,8".
  public var cpuset: String { rangeList(processingUnits) }
}

/// "0-3,8" from ascending numbers.
func rangeList(_ numbers: [Int]) -> String {
  var ranges: [ClosedRange<Int>] = []
  for number in numbers {
    if let last = ranges.last, last.upperBound + 1 == number {
      ranges[ranges.count - 1] = last.lowerBound...number
    } else {
      ranges.append(number...number)
    }
  }
  return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }.joined(separator: ",")
}
