// A topology as the lines of a report.

extension Topology {
  /// Lines for a report: CPU, counts, caches, each node, limits, notes.
  public var summary: [String] {
    var lines = [
      "cpu: \(cpuModel)",
      (machines > 1 ? "\(machines) machines, " : "")
        + "\(count(packages.count, "package")), \(count(nodes.count, "NUMA node")), \(count(cores.count, "core")), "
        + "\(count(processingUnits.count, "hardware thread")), \(usableThreads) usable",
    ]
    let kinds = Dictionary(grouping: caches) { [$0.level, $0.bytes, $0.processingUnits.count] }
    for kind in kinds.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      lines.append("L\(kind[0]) cache: \(kinds[kind]!.count) x \(binaryBytes(kind[1])), each shared by \(count(kind[2], "thread"))")
    }
    for (index, node) in nodes.enumerated() {
      let memory = binaryBytes(node.memoryBytes) + (node.memoryKind.map { " of \($0)" } ?? "")
      let speed = bandwidth(from: index, to: index).map { ", \(Int(($0 / 1e9).rounded())) GB/s" } ?? ""
      let cpus = node.processingUnits.isEmpty ? "" : ", cpus \(node.cpuset)"
      lines.append("node \(node.osIndex): \(memory)\(speed), \(count(node.cores.count, "core"))\(cpus)")
    }
    if nodes.count > 1, !distances.isEmpty {
      lines.append("distances: \(distances.map { $0.map(String.init).joined(separator: " ") }.joined(separator: ", "))")
    }
    lines += pciDevices.map { "\($0), near \($0.node.map { "node \(nodes[$0].osIndex)" } ?? "no node of its own")" }
    if let quota = limits.quota { lines.append("cgroup quota: \(quota) CPUs") }
    return lines + notes
  }
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
