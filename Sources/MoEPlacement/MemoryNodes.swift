// Nodes that are memory alone (HBM, CXL, non-volatile): whose cores read them, and how fast.

extension Topology {
  /// Cores of each node, each core counted for the first node near it: none for HBM beside a node's DRAM and for CXL memory.
  public var ownCores: [Int] { cores.reduce(into: Array(repeating: 0, count: nodes.count)) { $0[$1.node] += 1 } }

  /// The node whose cores are nearest to a node's memory: by stated bandwidth, stated latency, the system's distances, and last by hwloc's tree.
  ///
  /// - Parameter candidates: nodes to choose from.
  /// - Returns: nil when no candidate is in the same machine.
  func nearest(to node: Int, of candidates: [Int]) -> Int? {
    let stated = accesses.filter { $0.to == node }, cpus = Set(nodes[node].processingUnits)
    func farness(_ candidate: Int) -> [Double] {
      let access = stated.first { $0.from == candidate }, distance = distances.isEmpty ? 0 : distances[candidate][node]
      let isBeside = nodes[candidate].processingUnits.contains(where: cpus.contains)
      return [-(access?.bandwidth ?? 0), access?.latency ?? .infinity, Double(distance), isBeside ? 0 : 1, Double(candidate)]
    }
    return candidates.filter { nodes[$0].machine == nodes[node].machine }.min { farness($0).lexicographicallyPrecedes(farness($1)) }
  }

  /// For a node that is memory alone the node whose cores are nearest; nil for one with cores.
  public func reader(of node: Int) -> Int? {
    let cores = ownCores
    return cores[node] > 0 ? nil : nearest(to: node, of: nodes.indices.filter { cores[$0] > 0 })
  }
}

extension AssumedSpeeds {
  /// Bytes a second that cores with `own` bytes a second of their node's memory have in memory of some kind.
  ///
  /// - Parameters:
  ///   - kind: as hwloc names it.
  ///   - far: what they have in another node's memory.
  func bandwidth(in kind: String?, own: Double, far: Double) -> Double {
    switch kind {
    case "HBM", "MCDRAM": own * highBandwidthShare
    case "NVM": min(far, persistentBandwidth)
    case "CXL-DRAM": min(far, expanderBandwidth)
    case "CXL-NVM": min(far, expanderBandwidth, persistentBandwidth)
    default: far
    }
  }
}
