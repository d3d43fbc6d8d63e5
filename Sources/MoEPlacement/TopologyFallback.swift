// The topology without hwloc: one node, made from what sysconf and /proc tell.

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension Topology {
  /// One package, one node, one core a CPU.
  package static func fallback(note: String) -> Topology {
    let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let units = Array(0..<online)
    let memory = max(0, sysconf(Int32(_SC_PHYS_PAGES))) * max(0, sysconf(Int32(_SC_PAGESIZE)))
    return Topology(
      source: .machine,
      packages: [Package(model: cpuModelName() ?? "", processingUnits: units)],
      nodes: [NUMANode(osIndex: 0, memoryBytes: memory, cores: units, processingUnits: units)],
      cores: units.map { Core(package: 0, node: 0, processingUnits: [$0]) },
      processingUnits: units,
      caches: [],
      limits: .current(),
      notes: [note])
  }
}

/// The CPU's name from /proc/cpuinfo (Linux) or sysctl (Darwin).
func cpuModelName() -> String? {
  #if canImport(Darwin)
  var size = 0
  guard sysctlbyname("machdep.cpu.brand_string", nil, &size, nil, 0) == 0, size > 1 else { return nil }
  var name = [UInt8](repeating: 0, count: size)
  guard sysctlbyname("machdep.cpu.brand_string", &name, &size, nil, 0) == 0 else { return nil }
  return String(decoding: name.prefix { $0 != 0 }, as: UTF8.self)
  #else
  for line in (systemText("/proc/cpuinfo") ?? "").split(separator: "\n") where line.hasPrefix("model name") {
    let parts = fields(line, separator: ":")
    if parts.count == 2 { return parts[1] }
  }
  return nil
  #endif
}
