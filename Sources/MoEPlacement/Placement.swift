// Where the experts of one layer live: the value that planning makes and execution follows.

/// Homes of a layer's experts on the NUMA nodes and devices of one machine.
///
/// "Node n" is an index into `nodes` everywhere below. Whatever the homes are, every output is the same sum in the same order: experts are split
/// by output rows alone, those of gate and up by intermediate rows and those of down by hidden rows.
public struct Placement: Sendable, Hashable, Codable {
  /// How the experts that are not on devices lie on the nodes.
  public enum Strategy: String, Sendable, Hashable, Codable, CaseIterable {
    /// All on one node, which computes alone.
    case isolate
    /// Pages in turn over the nodes, which all compute.
    case interleave
    /// Each expert whole on one node or, as copies, on several.
    case wholeExperts = "whole-experts"
    /// A part of every expert on each node.
    case split
    /// All of every expert on each node.
    case mirror
  }

  /// Where one expert lives.
  public enum Home: Sendable, Hashable, Codable {
    /// Pages in turn over the nodes.
    case interleaved
    /// A whole copy on each of these nodes, ascending.
    case nodes([Int])
    /// Output rows of every matrix over all nodes, by `shares`.
    case split
    /// In the memory of a device, by its place in the list that was planned for: that of `Machine.openCLDevices()` where a layer is to run.
    case device(Int)

    /// The device, nil for a home on nodes.
    package var deviceIndex: Int? { if case .device(let index) = self { index } else { nil } }
  }

  /// What was chosen for the experts that are not on devices.
  public let strategy: Strategy
  /// OS indices of the nodes that compute and hold weights, ascending.
  public let nodes: [Int]
  /// Relative part of a split expert that each node takes, its bandwidth; execution rounds to whole row groups.
  public let shares: [Int]
  /// Homes of the routed experts.
  public let experts: [Home]
  /// Home of the shared expert, nil where there is none.
  public let shared: Home?
  /// `Topology.fingerprint` of the machine that it was made for.
  public let machine: String
  /// The reasons, one a decision.
  public let why: [String]

  /// Home of the shared expert, where there is one.
  package var sharedHome: Home { shared ?? .interleaved }

  /// The devices that some expert lives on, ascending.
  public var devices: [Int] { Set((experts + [shared].compactMap { $0 }).compactMap(\.deviceIndex)).sorted() }

  /// A placement as it is; `check` tells whether it fits a machine.
  public init(strategy: Strategy, nodes: [Int], shares: [Int], experts: [Home], shared: Home? = nil, machine: String, why: [String] = []) {
    self.strategy = strategy
    self.nodes = nodes
    self.shares = shares
    self.experts = experts
    self.shared = shared
    self.machine = machine
    self.why = why
  }

  /// Demands that the placement is one for this machine and a layer of this many experts; what files hold is not trusted before.
  ///
  /// - Parameter devices: how many devices there are.
  /// - Throws: `PlacementError`.
  public func check(on topology: Topology, experts count: Int, devices: Int = 0) throws(PlacementError) {
    guard machine == topology.fingerprint else { throw .otherMachine(planned: machine, found: topology.fingerprint) }
    try check(experts: count)
    for node in nodes where !topology.nodes.contains(where: { $0.osIndex == node }) { throw .unknownNode(node) }
    for device in self.devices where !(0..<devices ~= device) { throw .unknownDevice(device, devices: devices) }
  }

  /// What can be told without the machine: that homes are on `nodes` and each node has a share.
  func check(experts count: Int) throws(PlacementError) {
    guard experts.count == count else { throw .experts(planned: experts.count, layer: count) }
    guard !nodes.isEmpty, zip(nodes, nodes.dropFirst()).allSatisfy({ $0 < $1 }) else { throw .nodes(nodes) }
    guard shares.count == nodes.count, shares.allSatisfy({ 1...Self.largestShare ~= $0 }) else { throw .shares(shares) }
    for case .nodes(let copies) in experts + [shared].compactMap({ $0 }) {
      guard !copies.isEmpty, zip(copies, copies.dropFirst()).allSatisfy({ $0 < $1 }) else { throw .nodes(copies) }
      for node in copies where !nodes.indices.contains(node) { throw .unknownNode(node) }
    }
  }

  /// Whether all lies where it lies in another placement, whatever the reasons.
  package func isAlike(_ other: Placement) -> Bool {
    (nodes, shares, experts) == (other.nodes, other.shares, other.experts) && (shared, machine) == (other.shared, other.machine)
  }

  /// The largest entry of `shares`.
  public static let largestShare = 1 << 20
}

/// Why there is no placement, or why one does not fit.
public enum PlacementError: Error, Sendable, Hashable, CustomStringConvertible {
  /// Made for a machine of another fingerprint.
  case otherMachine(planned: String, found: String)
  /// Made for a layer with another number of experts.
  case experts(planned: Int, layer: Int)
  /// No nodes, or nodes that do not ascend.
  case nodes([Int])
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
