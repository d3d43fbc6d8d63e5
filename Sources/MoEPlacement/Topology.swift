// The machine as values: packages, NUMA nodes, cores, processing units and caches.

/// What the machine is made of. A value: read once, shared freely.
public struct Topology: Sendable {
  /// Where it was read from.
  public let source: TopologySource
  /// At least one package.
  public let packages: [Package]
  /// At least one node.
  public let nodes: [NUMANode]
  /// At least one core.
  public let cores: [Core]
  /// OS indices of all processing units, ascending.
  public let processingUnits: [Int]
  /// Smallest level first.
  public let caches: [Cache]
  /// Bandwidths and latencies that the firmware states.
  public let accesses: [MemoryAccess]
  /// The system's relative latencies, a row for each node whose cores read and a column for each node that is read; empty when it does not tell.
  public let distances: [[Int]]
  /// PCI devices that matter; empty for this machine unless they were asked for.
  public let pciDevices: [PCIDevice]
  /// The limits put on this process; all processing units and no quota for a topology that is not this machine.
  public let limits: CPULimits
  /// What could not be read and what stands in its place; empty when all went well.
  public let notes: [String]

  /// Model name of the first package, "unknown" where the system does not tell.
  public var cpuModel: String { packages.first.map(\.model).flatMap { $0.isEmpty ? nil : $0 } ?? "unknown" }

  /// Threads this process can run at once: affinity and cgroup quota counted.
  public var usableThreads: Int { limits.threads }

  /// False for a description in which no node has "memory=": hwloc then makes sizes up, or none.
  public var statesMemory: Bool {
    guard case .synthetic(let text) = source else { return memoryBytes > 0 }
    return text.contains("memory=")
  }

  /// Bytes of memory on all nodes.
  public var memoryBytes: Int { nodes.reduce(0) { $0 + $1.memoryBytes } }

  /// Names the machine by its CPU and by the nodes with the hardware threads of each: two boots of one machine have the same.
  public var fingerprint: String {
    let words = [cpuModel] + nodes.map { "\($0.osIndex):\($0.cpuset)" }
    // FNV-1a.
    let hash = words.joined(separator: "|").utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return String(hash, radix: 16)
  }

  /// Machines of a cluster; 1 for all but a description that begins with "group:N".
  public var machines: Int { (nodes.map(\.machine).max() ?? 0) + 1 }

  /// This machine. Without hwloc (trait off, or its call failed) it is one node made from sysconf, and `notes` says so.
  ///
  /// - Parameter withPCIDevices: true to look for them too, which takes as long as all the rest; descriptions always have theirs.
  public static func current(withPCIDevices: Bool = false) -> Topology {
    #if Hwloc
    do {
      return try readTopology(.machine, withPCIDevices: withPCIDevices, limits: .current())
    } catch {
      return fallback(note: "topology: \(error); one NUMA node assumed")
    }
    #else
    return fallback(note: "topology: built without the trait Hwloc; one NUMA node assumed")
    #endif
  }

  /// A machine described by an hwloc synthetic string: any machine, on any machine, for planning and tests.
  ///
  /// - Throws: `TopologyError` when the string is malformed or the trait `Hwloc` is off.
  public init(synthetic description: String) throws(TopologyError) {
    #if Hwloc
    self = try readTopology(.synthetic(description), limits: nil)
    #else
    throw .needsHwloc
    #endif
  }

  /// A machine captured by `lstopo file.xml`.
  ///
  /// - Throws: `TopologyError` when the file cannot be read or parsed or the trait `Hwloc` is off.
  public init(xmlPath: String) throws(TopologyError) {
    #if Hwloc
    self = try readTopology(.xml(path: xmlPath), limits: nil)
    #else
    throw .needsHwloc
    #endif
  }

  init(
    source: TopologySource, packages: [Package], nodes: [NUMANode], cores: [Core], processingUnits: [Int], caches: [Cache],
    accesses: [MemoryAccess] = [], distances: [[Int]] = [], pciDevices: [PCIDevice] = [], limits: CPULimits, notes: [String]
  ) {
    self.source = source
    self.packages = packages
    self.nodes = nodes
    self.cores = cores
    self.processingUnits = processingUnits
    self.caches = caches
    self.accesses = accesses
    self.distances = distances
    self.pciDevices = pciDevices
    self.limits = limits
    self.notes = notes
  }
}
