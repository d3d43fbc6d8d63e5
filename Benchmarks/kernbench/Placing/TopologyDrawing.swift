// A topology drawn as a tree of lines: machines, packages, nodes with their cores and caches, devices under the node they are near.

import MoE

struct TopologyDrawing {
  private let topology: Topology
  private let devices: [ComputeDevice]
  /// Nodes drawn before the rest is only counted.
  private static let mostNodes = 32

  init(_ topology: Topology, devices: [ComputeDevice] = []) {
    self.topology = topology
    self.devices = devices
  }

  var lines: [String] {
    let drawn = topology.nodes.indices.prefix(Self.mostNodes)
    var lines: [String] = [], place: (machine: Int, package: Int?) = (-1, nil)
    for index in drawn {
      let node = topology.nodes[index], package = node.cores.first.map { topology.cores[$0].package } ?? place.package
      if topology.machines > 1, node.machine != place.machine { lines.append("machine \(node.machine)") }
      if let package, package != place.package || node.machine != place.machine {
        let model = topology.packages[package].model
        lines.append("package \(package)\(model.isEmpty ? "" : ": \(model)")")
      }
      place = (node.machine, package)
      lines.append("+- node \(node.osIndex): \(self.words(node, index))")
      lines += (caches(node) + near(index)).map { "|  +- \($0)" }
    }
    if topology.nodes.count > drawn.count { lines.append("... and \(topology.nodes.count - drawn.count) more nodes") }
    let far = near(nil)
    return lines + far.map { "+- \($0)" }
  }

  private func words(_ node: NUMANode, _ index: Int) -> String {
    var parts = [topology.statesMemory ? binary(node.memoryBytes) : "memory not stated"]
    if let kind = node.memoryKind { parts[0] += " of \(kind)" }
    if let bandwidth = topology.bandwidth(from: index, to: index) { parts.append("\(fixed(bandwidth / 1e9, 0)) GB/s") }
    if let latency = topology.latency(from: index, to: index) { parts.append("\(fixed(latency * 1e9, 0)) ns") }
    let cores = node.cores.count { topology.cores[$0].node == index }
    let reader = topology.reader(of: index).map { ", nearest to those of node \(topology.nodes[$0].osIndex)" } ?? ""
    parts.append(cores == 0 ? "no cores\(reader)" : "\(cores) core\(cores == 1 ? "" : "s"), cpus \(node.cpuset)")
    return parts.joined(separator: ", ")
  }

  private func caches(_ node: NUMANode) -> [String] {
    guard let first = node.processingUnits.first else { return [] }
    let own = topology.caches.filter { $0.processingUnits.contains(first) }.sorted { $0.level > $1.level }
    let words = own.map { cache in
      let threads = cache.processingUnits.count
      return "L\(cache.level) \(binary(cache.bytes)) for \(threads) thread\(threads == 1 ? "" : "s")"
    }
    return words.isEmpty ? [] : [words.joined(separator: ", ")]
  }

  /// Devices near a node, or near none.
  private func near(_ node: Int?) -> [String] {
    let own = devices.enumerated().filter { topology.node(near: $0.element) == node }
    let known = Set(devices.compactMap { $0.pciBusID?.lowercased() })
    let others = topology.pciDevices.filter { $0.node == node && !known.contains($0.busID) }
    return own.map { "opencl:\($0.offset) \($0.element)" } + others.map { "\($0)" }
  }
}
