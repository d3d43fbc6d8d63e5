// Reads a topology through hwloc into values; the hwloc handle does not outlive the call.

#if Hwloc
import CMoEHwloc
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// - Parameters:
///   - withPCIDevices: true to have hwloc look for PCI devices.
///   - limits: the process's limits, or nil for "all processing units found".
func readTopology(_ source: TopologySource, withPCIDevices: Bool = true, limits: CPULimits?) throws(TopologyError) -> Topology {
  var handle: hwloc_topology_t?
  guard hwloc_topology_init(&handle) == 0, let handle else { throw .failed(call: "hwloc_topology_init", status: errno) }
  defer { hwloc_topology_destroy(handle) }
  if withPCIDevices { hwloc_topology_set_type_filter(handle, HWLOC_OBJ_PCI_DEVICE, HWLOC_TYPE_FILTER_KEEP_IMPORTANT) }

  var notes: [String] = []
  switch source {
  case .machine:
    guard hwloc_topology_load(handle) == 0 else { throw .failed(call: "hwloc_topology_load", status: errno) }
    if hwloc_topology_is_thissystem(handle) == 0 {
      notes.append("topology: the environment (HWLOC_SYNTHETIC or HWLOC_XMLFILE) describes another machine")
    }
  case .synthetic(let text):
    guard !text.utf8.contains(0), hwloc_topology_set_synthetic(handle, text) == 0, hwloc_topology_load(handle) == 0 else {
      throw .malformed(synthetic: text)
    }
  case .xml(let path):
    guard hwloc_topology_set_xml(handle, path) == 0, hwloc_topology_load(handle) == 0 else { throw .unreadable(xmlPath: path) }
  }

  let units = objects(handle, HWLOC_OBJ_PU).map { Int($0.pointee.os_index) }.sorted()
  var packages = objects(handle, HWLOC_OBJ_PACKAGE).map { Package(model: model($0), processingUnits: members($0.pointee.cpuset)) }
  if packages.isEmpty { packages = [Package(model: "", processingUnits: units)] }
  if source == .machine, packages[0].model.isEmpty, let name = cpuModelName() {
    packages = packages.map { Package(model: name, processingUnits: $0.processingUnits) }
  }

  let nodeObjects = objects(handle, HWLOC_OBJ_NUMANODE)
  let nodeUnits = nodeObjects.map { members($0.pointee.cpuset) }
  // A machine without core objects (some virtual ones) has one core a processing unit.
  var coreUnits = objects(handle, HWLOC_OBJ_CORE).map { members($0.pointee.cpuset) }
  if coreUnits.isEmpty { coreUnits = units.map { [$0] } }
  let packageOf = firstOwner(packages.map(\.processingUnits))
  let nodeOf = firstOwner(nodeUnits)
  let cores = coreUnits.map { units in
    Core(package: packageOf[units.first ?? -1] ?? 0, node: nodeOf[units.first ?? -1] ?? 0, processingUnits: units)
  }
  var coreOf: [Int: Int] = [:]
  for (index, core) in cores.enumerated() { if let first = core.processingUnits.first { coreOf[first] = index } }
  let machines = readMachines(handle, nodes: nodeObjects.count)
  let nodes = zip(nodeObjects.indices, zip(nodeObjects, nodeUnits)).map { index, node in
    NUMANode(
      osIndex: Int(node.0.pointee.os_index),
      memoryBytes: Int(clamping: node.0.pointee.attr.pointee.numanode.local_memory),
      cores: node.1.compactMap { coreOf[$0] }.sorted(),
      processingUnits: node.1,
      memoryKind: node.0.pointee.subtype.map { String(cString: $0) },
      machine: index * machines / nodeObjects.count)
  }
  guard !nodes.isEmpty, !units.isEmpty else { throw .failed(call: "hwloc_get_nbobjs_by_type", status: 0) }

  let caches = [HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE, HWLOC_OBJ_L4CACHE].flatMap { objects(handle, $0) }.map { object in
    let cache = object.pointee.attr.pointee.cache
    return Cache(
      level: Int(cache.depth), bytes: Int(clamping: cache.size), lineBytes: Int(cache.linesize),
      processingUnits: members(object.pointee.cpuset))
  }
  return Topology(
    source: source, packages: packages, nodes: nodes, cores: cores, processingUnits: units, caches: caches,
    accesses: readAccesses(handle, nodeObjects), distances: readDistances(handle, nodes: nodes.count), pciDevices: readPCIDevices(handle),
    limits: limits ?? CPULimits(cpus: units, quota: nil), notes: notes)
}

private func objects(_ topology: hwloc_topology_t, _ type: hwloc_obj_type_t) -> [hwloc_obj_t] {
  (0..<max(0, hwloc_get_nbobjs_by_type(topology, type))).compactMap { hwloc_get_obj_by_type(topology, type, UInt32($0)) }
}

/// The set bits, ascending; empty for no set or an infinite one.
func members(_ set: hwloc_bitmap_t?) -> [Int] {
  guard let set, hwloc_bitmap_weight(set) > 0 else { return [] }
  var bits: [Int] = []
  var bit = hwloc_bitmap_first(set)
  while bit >= 0 {
    bits.append(Int(bit))
    bit = hwloc_bitmap_next(set, bit)
  }
  return bits
}

private func model(_ object: hwloc_obj_t) -> String {
  hwloc_obj_get_info_by_name(object, "CPUModel").map { String(cString: $0) } ?? ""
}

/// Processing unit -> index of the first group that holds it.
private func firstOwner(_ groups: [[Int]]) -> [Int: Int] {
  var owner: [Int: Int] = [:]
  for (index, group) in groups.enumerated() {
    for unit in group where owner[unit] == nil { owner[unit] = index }
  }
  return owner
}
#endif
