// A machine in figures of speed, made from its topology and what is assumed where nothing is stated.

/// Speeds that stand in where neither firmware nor a measurement tells; all of them are per second, or in seconds.
public struct AssumedSpeeds: Sendable, Hashable {
  /// Bytes a node reads of its own memory.
  public var nodeBandwidth = 100e9
  /// Part of the bandwidth that is left to another node's memory: 125 of 220 GB/s on the two-socket machine of KTransformers (SOSP 2025).
  public var remoteShare = 125.0 / 220
  /// Multiply-adds of one core.
  public var coreProducts = 100e9
  /// What it takes until all nodes of one machine know that a stage is done.
  public var nodeLatency = 2e-6
  /// Bytes between two machines, each way, shared by the nodes of a machine.
  public var machineLink = 25e9
  /// As `nodeLatency`, between machines.
  public var machineLatency = 10e-6
  /// Bytes a device reads of its memory.
  public var deviceBandwidth = 900e9
  /// Multiply-adds of a device.
  public var deviceProducts = 20e12
  /// Bytes between a device and its node.
  public var deviceLink = 32e9
  /// What it takes to have a device begin and to learn that it is done.
  public var deviceLatency = 20e-6

  /// The assumptions above.
  public init() {}

  func check() throws(PlacementError) {
    let rates = [nodeBandwidth, coreProducts, machineLink, deviceBandwidth, deviceProducts, deviceLink, remoteShare]
    let times = [nodeLatency, machineLatency, deviceLatency]
    guard rates.allSatisfy({ $0 > 0 && $0.isFinite }), remoteShare <= 1, times.allSatisfy({ $0 >= 0 && $0.isFinite }) else { throw .speeds(self) }
  }
}

/// Nodes that can hold experts and compute, devices, and how fast they reach each other.
public struct MachineModel: Sendable, Hashable {
  /// A node with cores and memory.
  public struct Node: Sendable, Hashable {
    public let osIndex: Int
    public let machine: Int
    public let cores: Int
    public var memoryBytes: Int
    /// Bytes a second of its own memory.
    public var bandwidth: Double
    /// Multiply-adds a second of all its cores.
    public var products: Double
  }

  /// A device with memory of its own.
  public struct Device: Sendable, Hashable {
    /// Place in the list of devices given.
    public let index: Int
    /// The near node, an index into `MachineModel.nodes`.
    public let node: Int?
    public var memoryBytes: Int
    public var bandwidth, products, link, latency: Double
  }

  public var nodes: [Node]
  public var devices: [Device]
  /// Fingerprint of the topology.
  public let fingerprint: String
  /// Slowest bytes a second from one node's memory to another's, of one machine.
  public let remoteBandwidth: Double
  public let speeds: AssumedSpeeds
  /// What was left out, and why.
  public let notes: [String]

  /// - Parameter devices: those that share memory with the host are left out: they are the same cores or the same memory.
  /// - Throws: `PlacementError.noNode` when no node has both cores and memory, `.speeds` for those that nothing has.
  public init(_ topology: Topology, devices: [ComputeDevice] = [], speeds: AssumedSpeeds = AssumedSpeeds()) throws(PlacementError) {
    try speeds.check()
    var cores = Array(repeating: 0, count: topology.nodes.count), notes: [String] = []
    for core in topology.cores { cores[core.node] += 1 }
    let statesMemory = topology.statesMemory
    if !statesMemory { notes.append("the description states no memory: taken to be enough") }
    let computing = topology.nodes.indices.filter { index in
      let node = topology.nodes[index]
      if cores[index] == 0 { notes.append("node \(node.osIndex) (\(node.memoryKind ?? "memory")) has no cores: left out") }
      let hasMemory = node.memoryBytes > 0 || !statesMemory
      if cores[index] > 0, !hasMemory { notes.append("node \(node.osIndex) has no memory: left out") }
      return cores[index] > 0 && hasMemory
    }
    guard !computing.isEmpty else { throw .noNode }
    nodes = computing.map { index in
      Node(
        osIndex: topology.nodes[index].osIndex, machine: topology.nodes[index].machine, cores: cores[index],
        memoryBytes: statesMemory ? topology.nodes[index].memoryBytes : 1 << 50,
        bandwidth: topology.bandwidth(from: index, to: index) ?? speeds.nodeBandwidth, products: Double(cores[index]) * speeds.coreProducts)
    }
    var slowest = Double.infinity
    let stated = Dictionary(topology.accesses.map { ([$0.from, $0.to], $0) }) { first, _ in first }
    for (place, from) in computing.enumerated() {
      for to in computing where to != from && topology.nodes[to].machine == topology.nodes[from].machine {
        let share = topology.relativeLatency(from: from, to: to).map { 1 / max(1, $0) } ?? speeds.remoteShare
        slowest = min(slowest, stated[[from, to]]?.bandwidth ?? nodes[place].bandwidth * share)
      }
    }
    remoteBandwidth = slowest
    self.devices = []
    for (index, device) in devices.enumerated() {
      guard !device.sharesMemoryWithHost else {
        notes.append("device \(index) (\(device.name)) shares memory with the host: left out")
        continue
      }
      self.devices.append(
        Device(
          index: index, node: topology.node(near: device).flatMap(computing.firstIndex(of:)), memoryBytes: device.memoryBytes,
          bandwidth: speeds.deviceBandwidth, products: speeds.deviceProducts, link: speeds.deviceLink, latency: speeds.deviceLatency))
    }
    fingerprint = topology.fingerprint
    self.speeds = speeds
    self.notes = notes
  }

  /// Machines of the cluster.
  public var machines: Int { Set(nodes.map(\.machine)).count }

  /// Bytes a second at which experts can be copied anywhere.
  var slowestPath: Double {
    min(remoteBandwidth, machines > 1 ? speeds.machineLink : .infinity, devices.map(\.link).min() ?? .infinity, nodes[0].bandwidth)
  }

  /// Seconds until every node has `bytes` of which each now has its equal part; with the wait for the last one.
  func exchange(_ bytes: Double) -> Double {
    guard nodes.count > 1 else { return 0 }
    let machines = Double(machines), apart = bytes * (1 - 1 / machines) / speeds.machineLink
    let within = Double(nodes.count) > machines ? bytes * (1 - 1 / Double(nodes.count)) / remoteBandwidth : 0
    return max(apart, within) + (machines > 1 ? speeds.machineLatency : speeds.nodeLatency)
  }
}
