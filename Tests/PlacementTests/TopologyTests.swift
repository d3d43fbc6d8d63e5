// Topologies of described machines, of broken descriptions and of this machine.

import Foundation
import MoEPlacement
import Testing

@Suite struct TopologyTests {
  #if Hwloc
  struct Shape: Sendable {
    var text: String
    var packages, nodes, cores, units: Int
  }

  @Test(arguments: [
    Shape(text: "pack:1 core:2 pu:1", packages: 1, nodes: 1, cores: 2, units: 2),
    Shape(text: "pack:2 numa:2 core:4 pu:2", packages: 2, nodes: 4, cores: 16, units: 32),
    Shape(text: "pack:2 [numa(memory=64GB)] l3:1 core:8 pu:1", packages: 2, nodes: 2, cores: 16, units: 16),
    Shape(text: "pack:2 group:2 [numa] core:4 pu:1", packages: 2, nodes: 4, cores: 16, units: 16),
    Shape(text: "pu:3", packages: 1, nodes: 1, cores: 3, units: 3),
  ])
  func synthetic(_ shape: Shape) throws {
    let topology = try Topology(synthetic: shape.text)
    #expect(topology.packages.count == shape.packages)
    #expect(topology.nodes.count == shape.nodes)
    #expect(topology.cores.count == shape.cores)
    #expect(topology.processingUnits == Array(0..<shape.units))
    #expect(topology.usableThreads == shape.units)
    #expect(topology.nodes.flatMap(\.cores).sorted() == Array(0..<shape.cores))
    #expect(topology.nodes.flatMap(\.processingUnits).sorted() == topology.processingUnits)
    for (index, core) in topology.cores.enumerated() {
      #expect(topology.nodes[core.node].cores.contains(index))
      #expect(core.processingUnits.count == shape.units / shape.cores)
    }
    #expect(topology.notes.isEmpty)
  }

  @Test func memoryAndCaches() throws {
    let topology = try Topology(synthetic: "pack:2 [numa(memory=64GB)] l3:1(size=32MB) l2:2(size=1MB) core:4 pu:2")
    #expect(topology.nodes.map(\.memoryBytes) == [64_000_000_000, 64_000_000_000] || topology.nodes.map(\.memoryBytes) == [64 << 30, 64 << 30])
    #expect(topology.caches.filter { $0.level == 3 }.map(\.processingUnits.count) == [16, 16])
    #expect(topology.caches.filter { $0.level == 2 }.count == 4)
    #expect(topology.nodes[1].cpuset == "16-31")
    #expect(topology.summary.contains { $0.contains("2 NUMA nodes, 16 cores, 32 hardware threads") })
  }

  struct Cluster: Sendable {
    var text: String
    var machines: [Int]
  }

  @Test(arguments: [
    Cluster(text: "group:2 pack:2 [numa] core:2 pu:1", machines: [0, 0, 1, 1]),
    // hwloc leaves out groups of one package.
    Cluster(text: "group:3 pack:1 numa:1 core:2 pu:1", machines: [0, 1, 2]),
    Cluster(text: "pack:2 group:2 [numa] core:2 pu:1", machines: [0, 0, 0, 0]),
  ])
  func clusters(_ cluster: Cluster) throws {
    let topology = try Topology(synthetic: cluster.text)
    #expect(topology.nodes.map(\.machine) == cluster.machines)
    #expect(topology.machines == cluster.machines.last! + 1)
  }

  static func fixture(_ name: String) throws -> Topology {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    return try Topology(xmlPath: folder.appendingPathComponent("Fixtures/topologies/\(name)").path)
  }

  @Test func memoryAndDevicesOfACapture() throws {
    let topology = try Self.fixture("two-nodes-gpu.xml")
    #expect(topology.pciDevices.map(\.busID) == ["0000:81:00.0", "0000:82:00.0"])
    #expect(topology.pciDevices.map(\.node) == [1, 1])
    #expect(topology.pciDevices.map(\.isCompute) == [true, false])
    #expect(topology.distances == [[10, 21], [21, 10]])
    #expect(topology.relativeLatency(from: 0, to: 1) == 2.1)
    #expect(topology.bandwidth(from: 0, to: 1) == 119_209.0 * 0x1p20)
    #expect(topology.latency(from: 1, to: 1).map { abs($0 - 90e-9) < 1e-15 } == true)
    #expect(topology.summary.contains { $0.contains("PCI 0000:81:00.0, near node 1") })
    #expect(try Self.fixture("two-nodes-hbm.xml").nodes.map(\.memoryKind) == ["DRAM", "HBM", "DRAM", "HBM"])
  }

  @Test func fingerprints() throws {
    let texts = ["pack:2 numa:2 core:4 pu:2", "pack:2 numa:2 core:4 pu:1", "pack:2 numa:1 core:8 pu:2"]
    let machines = try texts.map { try Topology(synthetic: $0).fingerprint }
    #expect(Set(machines).count == 3)
    #expect(try Topology(synthetic: "pack:2 numa:2 core:4 pu:2").fingerprint == machines[0])
    #expect(Topology.current().fingerprint == Topology.current(withPCIDevices: true).fingerprint)
  }

  @Test(arguments: ["", "nonsense", "pack:", "pack:2 core:0", "pack:2 core:-3 pu:1", "pack:1 core:2 pu:1 core:2", "pack:1\0pu:1"])
  func malformed(_ text: String) {
    #expect(throws: TopologyError.malformed(synthetic: text)) { try Topology(synthetic: text) }
  }

  @Test func missingFile() {
    #expect(throws: TopologyError.unreadable(xmlPath: "/nonexistent.xml")) { try Topology(xmlPath: "/nonexistent.xml") }
  }
  #endif

  @Test func thisMachine() {
    let topology = Topology.current()
    #expect(topology.source == .machine)
    #expect(!topology.nodes.isEmpty)
    #expect(!topology.cores.isEmpty)
    #expect(topology.memoryBytes > 0)
    #expect(1...topology.processingUnits.count ~= topology.usableThreads)
    #expect(!topology.summary.isEmpty)
  }

  @Test func withoutHwloc() {
    let topology = Topology.fallback(note: "for the test")
    #expect(topology.nodes.count == 1)
    #expect(topology.cores.count == topology.processingUnits.count)
    #expect(topology.nodes[0].memoryBytes > 0)
    #expect(topology.notes == ["for the test"])
  }
}
