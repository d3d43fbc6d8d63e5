// Why there is no placement, or why one does not fit.

/// Why there is no placement, or why one does not fit.
public enum PlacementError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Made for a machine of another fingerprint.
  case otherMachine(planned: String, found: String)
  /// Made for a layer with another number of experts.
  case experts(planned: Int, layer: Int)
  /// No nodes, or nodes that do not ascend.
  case nodes([Int])
  /// Memories that do not ascend, are of a node that computes, or whose node is not there.
  case memories([Placement.Memory])
  /// Places of one expert that do not ascend, or two of one node.
  case places([Int])
  /// A node that is not there.
  case unknownNode(Int)
  /// A device that is not there.
  case unknownDevice(Int, devices: Int)
  /// Not one positive share for each node.
  case shares([Int])
  /// Sizes of a layer that no layer has.
  case sizes(String)
  /// Loads, or the shape of their statistics, that no routing gives.
  case statistics(String)
  /// Numbers of slots, groups, nodes or units that cannot be balanced.
  case slots(String)
  /// The experts need more bytes than there are.
  case budget(needed: Int, available: Int)
  /// What keeps each strategy that was considered from being taken.
  case strategies([String])
  /// No node has both cores and memory.
  case noNode
  /// What keeps experts from where they were to be moved.
  case memory([String])
  /// Speeds that are not positive, or a remote share above 1.
  case speeds(AssumedSpeeds)

  public var description: String {
    switch self {
    case .otherMachine(let planned, let found): "the placement was made for machine \(planned), this is \(found)"
    case .experts(let planned, let layer): "the placement has \(planned) experts, the layer \(layer)"
    case .nodes(let nodes): "nodes \(nodes): expected some, ascending"
    case .memories(let memories): "memories of nodes \(memories.map(\.osIndex)) computed by \(memories.map(\.node)): expected others, ascending"
    case .places(let places): "an expert in places \(places): expected some, ascending, at most one a node"
    case .unknownNode(let node): "there is no node \(node)"
    case .unknownDevice(let device, let devices): "there is no device \(device) of \(devices)"
    case .shares(let shares): "shares \(shares): expected 1 ... \(Placement.largestShare) for each node"
    case .sizes(let found): "no layer has \(found)"
    case .statistics(let found): "no loads are \(found)"
    case .slots(let found): "cannot balance \(found)"
    case .budget(let needed, let available): "the experts need \(needed) bytes, there are \(available)"
    case .strategies(let obstacles): "no strategy fits: \(obstacles.joined(separator: "; "))"
    case .noNode: "no node has both cores and memory"
    case .memory(let obstacles): "experts stay where they are: \(obstacles.joined(separator: "; "))"
    case .speeds(let speeds): "no machine has \(speeds)"
    }
  }
}
