// The machine as values: packages, NUMA nodes, cores, processing units and caches.

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

  /// The processing units in list form: "0-3,8".
  public var cpuset: String { rangeList(processingUnits) }
}

/// A core, with one or more processing units (hardware threads).
public struct Core: Sendable, Hashable {
  /// Index into `Topology.packages`.
  public let package: Int
  /// Index into `Topology.nodes` of the first node near the core.
  public let node: Int
  /// OS indices of the core's processing units, ascending.
  public let processingUnits: [Int]
}

/// A processor package (socket).
public struct Package: Sendable, Hashable {
  /// The model's name as the CPU states it, empty when unknown.
  public let model: String
  /// OS indices of the package's processing units, ascending.
  public let processingUnits: [Int]
}

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

/// Where a topology was read from.
public enum TopologySource: Sendable, Hashable {
  /// The machine the process runs on.
  case machine
  /// An hwloc synthetic description, such as "pack:2 numa:2 core:4 pu:2".
  case synthetic(String)
  /// An XML file written by `lstopo`.
  case xml(path: String)
}

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
  /// The limits put on this process; all processing units and no quota for a topology that is not this machine.
  public let limits: CPULimits
  /// What could not be read and what stands in its place; empty when all went well.
  public let notes: [String]

  /// Model name of the first package, "unknown" where the system does not tell.
  public var cpuModel: String { packages.first.map(\.model).flatMap { $0.isEmpty ? nil : $0 } ?? "unknown" }

  /// Threads this process can run at once: affinity and cgroup quota counted.
  public var usableThreads: Int { limits.threads }

  /// Bytes of memory on all nodes.
  public var memoryBytes: Int { nodes.reduce(0) { $0 + $1.memoryBytes } }

  /// Names the machine by its CPU and by the nodes with the hardware threads of each: two boots of one machine have the same.
  public var fingerprint: String {
    let words = [cpuModel] + nodes.map { "\($0.osIndex):\($0.cpuset)" }
    // FNV-1a.
    let hash = words.joined(separator: "|").utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    return String(hash, radix: 16)
  }

  /// This machine. Without hwloc (trait off, or its call failed) it is one node made from sysconf, and `notes` says so.
  public static func current() -> Topology {
    #if Hwloc
    do {
      return try readTopology(.machine, limits: .current())
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
    limits: CPULimits, notes: [String]
  ) {
    self.source = source
    self.packages = packages
    self.nodes = nodes
    self.cores = cores
    self.processingUnits = processingUnits
    self.caches = caches
    self.limits = limits
    self.notes = notes
  }

  /// Lines for a report: CPU, counts, caches, each node, limits, notes.
  public var summary: [String] {
    var lines = [
      "cpu: \(cpuModel)",
      "\(count(packages.count, "package")), \(count(nodes.count, "NUMA node")), \(count(cores.count, "core")), "
        + "\(count(processingUnits.count, "hardware thread")), \(usableThreads) usable",
    ]
    let kinds = Dictionary(grouping: caches) { [$0.level, $0.bytes, $0.processingUnits.count] }
    for kind in kinds.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      lines.append("L\(kind[0]) cache: \(kinds[kind]!.count) x \(binaryBytes(kind[1])), each shared by \(count(kind[2], "thread"))")
    }
    for node in nodes {
      lines.append("node \(node.osIndex): \(binaryBytes(node.memoryBytes)), \(count(node.cores.count, "core")), cpus \(node.cpuset)")
    }
    if let quota = limits.quota { lines.append("cgroup quota: \(quota) CPUs") }
    return lines + notes
  }
}

/// Why a topology could not be read.
public enum TopologyError: Error, Sendable, Hashable, CustomStringConvertible {
  /// hwloc does not understand the description.
  case malformed(synthetic: String)
  /// The XML file is missing or is no topology.
  case unreadable(xmlPath: String)
  /// An hwloc call failed with this errno.
  case failed(call: String, status: Int32)
  /// The package was built without the trait `Hwloc`.
  case needsHwloc

  public var description: String {
    switch self {
    case .malformed(let text): "malformed synthetic topology \"\(text)\""
    case .unreadable(let path): "unreadable topology file \(path)"
    case .failed(let call, let status): "\(call) failed, errno \(status)"
    case .needsHwloc: "built without the trait Hwloc"
    }
  }
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

private func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

private func binaryBytes(_ bytes: Int) -> String {
  let units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
  var value = Double(bytes)
  var unit = 0
  while value >= 1024, unit + 1 < units.count {
    value /= 1024
    unit += 1
  }
  let tenths = Int((value * 10).rounded())
  return tenths % 10 == 0 ? "\(tenths / 10) \(units[unit])" : "\(tenths / 10).\(tenths % 10) \(units[unit])"
}
