// `kernbench place`: where a layer's experts would live on any machine, and how long a step would take.

import ArgumentParser
import Foundation
import MoE

struct Place: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Plans a layer's experts over NUMA nodes and devices, predicts each strategy's time and draws the map.")

  @OptionGroup var machine: TopologyChoice
  @Option(help: "A preset, or hidden=..,intermediate=..,experts=..,topK=..") var layer: String
  @Option(help: "FORMAT or GATEUP/DOWN.") var format = "q4_k"
  @Option(help: "A file of choices, or a generator: \(TracePreset.all.map(\.name).joined(separator: ", ")).") var trace = "qwen3-like"
  @Option(parsing: .unconditional, help: "Tokens of a step.") var tokens = 1
  @Option(help: "float or int8: how activated rows travel between nodes.") var activations = "int8"
  @Option(help: "Bytes of experts on all nodes together, such as 64GiB.") var budget: String?
  @Option(help: "GB/s a node reads of its own memory, where the topology does not tell.") var bandwidth: Double?
  @Option(help: "GB/s between machines of a cluster (group:N ...).") var link: Double?
  @Option(help: "Memory of each device that a described machine has.") var deviceMemory = "16GiB"
  @Option(help: "Instead of the fastest: \(Placement.Strategy.allCases.map(\.rawValue).joined(separator: ", ")).") var strategy: String?
  @Option(help: "Seed of a generated trace.") var seed: UInt64 = 1
  @Option(help: "Writes the plan to this file.") var json: String?
  @Option(help: "Writes a page with the map to this file.") var html: String?

  func run() throws {
    let preset = try Preset(layer), formats = try FormatPair(format)
    try formats.check(preset)
    guard ["float", "int8"].contains(activations) else { throw Failure("--activations \(activations): expected float or int8") }
    for (value, name) in [(bandwidth, "bandwidth"), (link, "link")] {
      if let value, !(value > 0 && value < 1e6) { throw Failure("--\(name) \(value): expected GB/s") }
    }
    let only = try strategy.map { name in
      guard let strategy = Placement.Strategy(rawValue: name) else { throw Failure("--strategy \(name): no strategy") }
      return strategy
    }
    let files = try ReportFiles(json: json, html: html)
    var (topology, notes) = try machine.read()
    notes += topology.notes
    var speeds = AssumedSpeeds()
    if let bandwidth { speeds.nodeBandwidth = bandwidth * 1e9 }
    if let link { speeds.machineLink = link * 1e9 }
    let devices = try devices(topology, &notes), model = try MachineModel(topology, devices: devices, speeds: speeds)
    let sizes = try Self.sizes(preset, formats, activationBytes: activations == "int8" ? 1 : 4)
    let routing = try Self.trace(trace, preset, seed: seed), loads = try Self.loads(routing)
    let limits = PlanningBudget(hostBytes: try budget.map { try byteCount($0, "--budget") }, tokens: tokens)
    let plan = try Planner(model).plan(sizes, loads: loads, budget: limits, only: only)
    let report = PlacementReport(
      topology: topology, model: model, devices: devices, layer: "\(preset.name), \(formats), \(routing.layers) layers", trace: routing.parameters,
      tokens: tokens, sizes: sizes, loads: loads, plan: plan, notes: notes)
    for line in report.lines { print(line) }
    let text = try report.json
    try files.write(json: text, csv: "", html: report.html)
  }

  /// OpenCL devices of this machine; of a described one its display controllers and accelerators.
  private func devices(_ topology: Topology, _ notes: inout [String]) throws -> [ComputeDevice] {
    guard machine.topology != nil else {
      let found = try OpenCL.discover()
      notes += found.notes
      return found.devices
    }
    let memory = try byteCount(deviceMemory, "--device-memory"), found = topology.pciDevices.filter(\.isCompute)
    if !found.isEmpty { notes.append("devices are taken to have \(binary(memory)) of memory each") }
    return found.enumerated().map { index, device in
      ComputeDevice(
        kind: .gpu, name: "\(device)", vendor: "", driverVersion: "", memoryBytes: memory, maxAllocationBytes: memory, computeUnits: 1,
        sharesMemoryWithHost: false, pciBusID: device.busID, platformIndex: 0, deviceIndex: index)
    }
  }

  static func sizes(_ preset: Preset, _ formats: FormatPair, activationBytes: Int) throws -> LayerSizes {
    func bytes(_ width: Int) throws -> Int {
      let values = preset.hidden * width
      return try 2 * formats.gateUp.bytes(values: values) + formats.down.bytes(values: values)
    }
    return LayerSizes(
      hidden: preset.hidden, intermediate: preset.intermediate, topK: preset.topK,
      expertBytes: Array(repeating: try bytes(preset.intermediate), count: preset.experts), sharedBytes: try bytes(preset.shared),
      activationBytes: activationBytes, groups: preset.groups?.count ?? 1)
  }

  static func trace(_ text: String, _ preset: Preset, seed: UInt64) throws -> RoutingTrace {
    guard TracePreset.all.contains(where: { $0.name == text }) || !FileManager.default.fileExists(atPath: text) else {
      let trace = try RoutingTrace(path: text)
      guard trace.experts == preset.experts, trace.topK == preset.topK else {
        throw Failure("\(text): top-\(trace.topK) of \(trace.experts) experts; \(preset.name) is top-\(preset.topK) of \(preset.experts)")
      }
      return trace
    }
    return try RoutingTrace(TracePreset(named: text), experts: preset.experts, topK: preset.topK, sequences: 8, tokens: 256, seed: seed)
  }

  /// Loads after the whole trace.
  static func loads(_ trace: RoutingTrace) throws -> [[Double]] {
    var statistics = try LoadStatistics(layers: trace.layers, experts: trace.experts)
    for sequence in trace.sequences {
      for first in stride(from: 0, to: trace.tokens(of: sequence), by: 128) {
        let tokens = first..<min(first + 128, trace.tokens(of: sequence))
        for layer in 0..<trace.layers {
          statistics.record(layer: layer, offsets: trace.offsets(sequence, tokens: tokens, layer: layer), tokens: tokens.count)
        }
      }
    }
    statistics.flush()
    return statistics.loads
  }
}
