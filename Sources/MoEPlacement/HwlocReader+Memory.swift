// What hwloc tells beside the tree: bandwidths, latencies, distances, PCI devices, the machines of a cluster.

#if Hwloc
import CMoEHwloc

/// Bandwidths and latencies of nodes, sparse: most firmware states them for the nearest memory only.
func readAccesses(_ topology: hwloc_topology_t, _ nodes: [hwloc_obj_t]) -> [MemoryAccess] {
  // hwloc gives MiB a second and nanoseconds.
  let bandwidths = readAttribute(topology, HWLOC_MEMATTR_ID_BANDWIDTH, nodes, unit: 0x1p20)
  let latencies = readAttribute(topology, HWLOC_MEMATTR_ID_LATENCY, nodes, unit: 1e-9)
  return Set(bandwidths.keys).union(latencies.keys).sorted { $0.lexicographicallyPrecedes($1) }.map {
    MemoryAccess(from: $0[0], to: $0[1], bandwidth: bandwidths[$0], latency: latencies[$0])
  }
}

/// Values by [from, to].
private func readAttribute(
  _ topology: hwloc_topology_t, _ attribute: hwloc_memattr_id_e, _ nodes: [hwloc_obj_t], unit: Double
) -> [[Int]: Double] {
  var values: [[Int]: Double] = [:]
  for (target, node) in nodes.enumerated() {
    var count: UInt32 = 0
    guard hwloc_memattr_get_initiators(topology, attribute.rawValue, node, 0, &count, nil, nil) == 0, count > 0 else { continue }
    var initiators = [hwloc_location](repeating: hwloc_location(), count: Int(count))
    var found = [hwloc_uint64_t](repeating: 0, count: Int(count))
    guard hwloc_memattr_get_initiators(topology, attribute.rawValue, node, 0, &count, &initiators, &found) == 0 else { continue }
    for (initiator, value) in zip(initiators.prefix(Int(count)), found) where value > 0 {
      let cpus = initiator.type == HWLOC_LOCATION_TYPE_CPUSET ? initiator.location.cpuset : initiator.location.object?.pointee.cpuset
      guard let cpus else { continue }
      for (source, other) in nodes.enumerated() where hwloc_bitmap_iszero(other.pointee.cpuset) == 0 {
        guard hwloc_bitmap_isincluded(other.pointee.cpuset, cpus) != 0 else { continue }
        values[[source, target]] = Double(value) * unit
      }
    }
  }
  return values
}

/// Relative latencies between nodes, a row for each; empty where the system does not tell them of all nodes.
func readDistances(_ topology: hwloc_topology_t, nodes: Int) -> [[Int]] {
  var count: UInt32 = 1
  var found: UnsafeMutablePointer<hwloc_distances_s>?
  let kind = UInt(HWLOC_DISTANCES_KIND_MEANS_LATENCY.rawValue)
  guard hwloc_distances_get_by_type(topology, HWLOC_OBJ_NUMANODE, &count, &found, kind, 0) == 0, count > 0, let matrix = found else { return [] }
  defer { hwloc_distances_release(topology, matrix) }
  guard Int(matrix.pointee.nbobjs) == nodes, let objects = matrix.pointee.objs, let values = matrix.pointee.values else { return [] }
  var rows = Array(repeating: Array(repeating: 0, count: nodes), count: nodes)
  for from in 0..<nodes {
    for to in 0..<nodes {
      guard let source = objects[from], let target = objects[to] else { return [] }
      rows[Int(source.pointee.logical_index)][Int(target.pointee.logical_index)] = Int(clamping: values[from * nodes + to])
    }
  }
  return rows
}

func readPCIDevices(_ topology: hwloc_topology_t) -> [PCIDevice] {
  var devices: [PCIDevice] = []
  var next = hwloc_get_next_pcidev(topology, nil)
  while let object = next {
    let pci = object.pointee.attr.pointee.pcidev
    let near = hwloc_get_non_io_ancestor_obj(topology, object)?.pointee.nodeset
    var node: Int?
    if let near, hwloc_bitmap_weight(near) == 1 {
      node = hwloc_get_numanode_obj_by_os_index(topology, UInt32(hwloc_bitmap_first(near))).map { Int($0.pointee.logical_index) }
    }
    devices.append(
      PCIDevice(
        busID: "\(hex(pci.domain, 4)):\(hex(pci.bus, 2)):\(hex(pci.dev, 2)).\(hex(pci.func, 1))", classID: pci.class_id,
        vendorID: pci.vendor_id, deviceID: pci.device_id, node: node))
    next = hwloc_get_next_pcidev(topology, object)
  }
  return devices
}

/// How many machines a description is of: N where it begins with "group:N", else 1. Asked of the text, since hwloc leaves out a group that holds
/// only one object.
func readMachines(_ topology: hwloc_topology_t, nodes: Int) -> Int {
  guard let text = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology), "SyntheticDescription").map({ String(cString: $0).lowercased() }),
    text.hasPrefix("group:"), let count = Int(text.dropFirst(6).prefix { $0.isNumber }), count > 0, nodes % count == 0
  else { return 1 }
  return count
}
#endif
