// Where the experts of one layer live: the value that planning makes and execution follows.

/// Homes of a layer's experts on the NUMA nodes and devices of one machine.
///
/// "Node n" is an index into `nodes` everywhere below, "place p" one into `places`: the nodes, then the memories beside them. Whatever the homes
/// are, every output is the same sum in the same order: experts are split by output rows alone, those of gate and up by
/// intermediate rows and those of down by hidden rows.
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
    /// A whole copy in each of these places, ascending, at most one a node.
    case nodes([Int])
    /// Output rows of every matrix over all nodes, by `shares`.
    case split
    /// As `split`, with each node's part in one of its places: one a node, in their order.
    case parts([Int])
    /// In the memory of a device, by its place in the list that was planned for: that of `Machine.openCLDevices()` where a layer is to run.
    case device(Int)

    /// The device, nil for a home on nodes.
    package var deviceIndex: Int? { if case .device(let index) = self { index } else { nil } }
  }

  /// Memory of a node that does not compute, such as HBM and CXL memory.
  public struct Memory: Sendable, Hashable, Codable {
    /// OS index of the node whose memory it is.
    public let osIndex: Int
    /// The node whose cores compute what lies there.
    public let node: Int

    public init(osIndex: Int, node: Int) { (self.osIndex, self.node) = (osIndex, node) }
  }

  /// What was chosen for the experts that are not on devices.
  public let strategy: Strategy
  /// OS indices of the nodes that compute and hold weights, ascending.
  public let nodes: [Int]
  /// Memory beside that of `nodes`, ascending by OS index.
  public let memories: [Memory]
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

  /// OS indices of all places: those of `nodes`, then those of `memories`.
  public var places: [Int] { nodes + memories.map(\.osIndex) }

  /// The node that computes what lies in a place.
  public func node(of place: Int) -> Int { place < nodes.count ? place : memories[place - nodes.count].node }

  /// Home of the shared expert, where there is one.
  package var sharedHome: Home { shared ?? .interleaved }

  /// The devices that some expert lives on, ascending.
  public var devices: [Int] { Set((experts + [shared].compactMap { $0 }).compactMap(\.deviceIndex)).sorted() }

  /// A placement as it is; `check` tells whether it fits a machine.
  public init(
    strategy: Strategy, nodes: [Int], memories: [Memory] = [], shares: [Int], experts: [Home], shared: Home? = nil, machine: String,
    why: [String] = []
  ) {
    self.strategy = strategy
    self.nodes = nodes
    self.memories = memories
    self.shares = shares
    self.experts = experts
    self.shared = shared
    self.machine = machine
    self.why = why
  }

  /// Files from before there were memories have none.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      strategy: try values.decode(Strategy.self, forKey: .strategy), nodes: try values.decode([Int].self, forKey: .nodes),
      memories: try values.decodeIfPresent([Memory].self, forKey: .memories) ?? [], shares: try values.decode([Int].self, forKey: .shares),
      experts: try values.decode([Home].self, forKey: .experts), shared: try values.decodeIfPresent(Home.self, forKey: .shared),
      machine: try values.decode(String.self, forKey: .machine), why: try values.decode([String].self, forKey: .why))
  }

  /// Whether all lies where it lies in another placement, whatever the reasons.
  package func isAlike(_ other: Placement) -> Bool {
    (nodes, memories, shares, experts) == (other.nodes, other.memories, other.shares, other.experts)
      && (shared, machine) == (other.shared, other.machine)
  }

  /// The largest entry of `shares`.
  public static let largestShare = 1 << 20
}
