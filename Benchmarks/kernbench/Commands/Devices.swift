// `kernbench devices`: the machine as the package sees it.

import ArgumentParser
import MoE

struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Draws the topology; shows kernel tables and OpenCL devices.")

  @OptionGroup var machine: TopologyChoice

  func run() throws {
    let (topology, notes) = try machine.read()
    let isThis = machine.topology == nil
    for line in isThis ? Self.report(topology) : topology.summary { print(line) }
    for note in notes { print("note: \(note)") }
    print("")
    for line in TopologyDrawing(topology, devices: isThis ? (try? OpenCL.devices()) ?? [] : []).lines { print(line) }
  }

  /// Lines about the machine.
  static func report(_ topology: Topology) -> [String] {
    var lines = topology.summary
    lines.append("kernels: \(KernelTable.runnable.map(\.name).joined(separator: ", "))")
    if !KernelTable.missing.isEmpty { lines.append("not on this machine: \(KernelTable.missing.joined(separator: ", "))") }
    do {
      let found = try OpenCL.discover()
      lines += found.devices.enumerated().map { index, device in
        "opencl:\(index) \(device)" + (topology.node(near: device).map { ", near node \(topology.nodes[$0].osIndex)" } ?? "")
      }
      if found.devices.isEmpty, found.notes.isEmpty { lines.append("no OpenCL device") }
      lines += found.notes
    } catch { lines.append("OpenCL: \(error)") }
    return lines
  }
}
