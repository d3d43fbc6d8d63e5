// A machine in figures of speed, made from its topology and what is assumed where nothing is stated.

/// Nodes that can hold experts and compute, memory beside them, devices, and how fast they reach each other.
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

  /// Memory of a node without cores: HBM, CXL, non-volatile.
  public struct Memory: Sendable, Hashable {
    public let osIndex: Int
    /// The node whose cores read it, an index into `MachineModel.nodes`.
    public let node: Int
    public var memoryBytes: Int
    /// Bytes a second that these cores read of it.
    public var bandwidth: Double
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
  /// Ascending by OS index.
  public var memories: [Memory]
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
    var notes: [String] = []
    let cores = topology.ownCores, statesMemory = topology.statesMemory
    if !statesMemory { notes.append("the description states no memory: taken to be enough") }
    let computing = topology.nodes.indices.filter { index in
      let node = topology.nodes[index]
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
    memories = []
    for index in topology.nodes.indices where cores[index] == 0 {
      let node = topology.nodes[index], kind = node.memoryKind ?? "memory"
      // A GPU's memory is the device's.
      guard statesMemory, node.memoryBytes > 0, kind != "GPUMemory", let near = topology.nearest(to: index, of: computing) else {
        notes.append("node \(node.osIndex) (\(kind)) has no cores: left out")
        continue
      }
      let reader = nodes[computing.firstIndex(of: near)!], told = stated[[near, index]]?.bandwidth
      let share = topology.relativeLatency(from: near, to: index).map { 1 / max(1, $0) } ?? speeds.remoteShare
      let bandwidth = told ?? speeds.bandwidth(in: node.memoryKind, own: reader.bandwidth, far: reader.bandwidth * share)
      memories.append(
        Memory(osIndex: node.osIndex, node: computing.firstIndex(of: near)!, memoryBytes: node.memoryBytes, bandwidth: bandwidth))
      let rate = "\(Int(min(bandwidth / 1e9, 1e9).rounded())) GB/s \(told == nil ? "assumed" : "stated")"
      notes.append("node \(node.osIndex) (\(kind)) has no cores: memory for those of node \(reader.osIndex), \(rate)")
    }
    memories.sort { $0.osIndex < $1.osIndex }
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
    min(remoteBandwidth, machines > 1 ? speeds.machineLink : .infinity, devices.map(\.link).min() ?? .infinity, nodes[0].bandwidth,
      memories.map(\.bandwidth).min() ?? .infinity)
  }

  /// Seconds until every node has `bytes` of which each now has its equal part; with the wait for the last one.
  func exchange(_ bytes: Double) -> Double {
    guard nodes.count > 1 else { return 0 }
    let machines = Double(machines), apart = bytes * (1 - 1 / machines) / speeds.machineLink
    let within = Double(nodes.count) > machines ? bytes * (1 - 1 / Double(nodes.count)) / remoteBandwidth : 0
    return max(apart, within) + (machines > 1 ? speeds.machineLatency : speeds.nodeLatency)
  }
}
