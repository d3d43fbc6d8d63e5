// `kernbench run`: any cell of the benchmark.

import ArgumentParser
import MoE

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Checks and times layers in formats for numbers of tokens.")

  @Option(help: "Presets, hidden=..,intermediate=..,experts=..,topK=.., or paths of checkpoints; separated by commas.") var layer: String
  @Option(help: "FORMAT or GATEUP/DOWN, separated by commas; not for checkpoints.") var format: String?
  @Option(help: "Tokens a call, separated by commas.") var tokens = "1,32"
  @Option(help: "Layer of the checkpoint; its first MoE layer by default.") var index: Int?
  @Option(help: "Fewer experts than the presets have.") var experts: Int?
  @Option(help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Option(help: "cpu or blas.") var device = "cpu"
  @Option(help: "float or int8, or both separated by a comma.") var activations = "float"
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @Option(help: "Seconds of timing a row.") var seconds = 0.5
  @Option(help: "Seed of weights and hidden states.") var seed: UInt64 = 1
  @Option(help: "Writes the results to this file.") var json: String?
  @Option(help: "Writes the rows to this file.") var csv: String?
  @Option(help: "Writes a page with plots to this file.") var html: String?

  func run() throws {
    let layers = try BenchmarkedLayer.list(
      layer, formats: format.map { try $0.list.map(FormatPair.init) }, experts: experts, index: index)
    for layer in layers { try layer.check() }
    let tokens = try tokens.list.map { text in
      guard let count = Int(text), 1...65536 ~= count else { throw Failure("--tokens \(text): expected 1 ... 65536") }
      return count
    }
    guard seconds > 0, seconds <= 600 else { throw Failure("--seconds \(seconds): expected more than 0 and at most 600") }
    let device = try Self.device(device), precisions = try activations.list.map(Self.precision)
    let files = (json: try json.map(ReportFile.init), csv: try csv.map(ReportFile.init), html: try html.map(ReportFile.init))
    let machine = try Self.machine(threads: threads, isa: isa)
    if precisions.contains(.int8) { try Self.demandInt8(layers, machine, device) }

    let report = MachineReport(machine: machine, peaks: try Peaks(machine, int8: precisions.contains(.int8)), seed: seed)
    print(report.line)
    print(Row.header)
    var rows: [Row] = []
    for layer in layers {
      try Self.rows(layer, tokens: tokens, precisions: precisions, device: device, report, seconds: seconds) { rows.append($0) }
    }
    try files.json?.write(report.json(rows))
    try files.csv?.write(Row.csv(rows))
    try files.html?.write(HTMLReport(report, rows).text)
    guard rows.allSatisfy(\.isInBound) else { throw ExitCode(1) }
  }

  /// Rows of one layer, each shown and handed over as it is done.
  static func rows(
    _ layer: BenchmarkedLayer, tokens: [Int], precisions: [ActivationPrecision], device: MoELayer.Device, _ report: MachineReport,
    seconds: Double, add: (Row) -> Void
  ) throws {
    let (name, configuration, weights) = try layer.load(report.machine, seed: report.seed)
    for precision in precisions {
      let benchmark = try LayerBenchmark(
        name: name, configuration: configuration, weights: weights, machine: report.machine, device: device, activations: precision,
        seed: report.seed)
      for count in tokens {
        Progress.show("\(name), \(benchmark.format), \(precision.rawValue), \(count) tokens")
        let row = try benchmark.row(tokens: count, peaks: report.peaks, seconds: seconds)
        Progress.clear()
        print(row.line)
        add(row)
      }
    }
  }

  static func machine(threads: Int?, isa: String?) throws -> Machine {
    guard let kernels = isa.map(KernelTable.init(named:)) ?? .best else {
      throw Failure("no kernels for '\(isa ?? "")' on this machine; there are \(KernelTable.runnable.map(\.name).joined(separator: ", "))")
    }
    return try Machine.current(threads: threads, kernels: kernels)
  }

  private static func device(_ name: String) throws -> MoELayer.Device {
    if name == "opencl" || name.hasPrefix("opencl:") { throw Failure("the OpenCL backend is not in this version") }
    guard let device = MoELayer.Device(rawValue: name) else {
      throw Failure("unknown device '\(name)'; there are \(MoELayer.Device.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return device
  }

  private static func precision(_ name: String) throws -> ActivationPrecision {
    guard let precision = ActivationPrecision(rawValue: name) else { throw Failure("unknown activations '\(name)'; there are float, int8") }
    return precision
  }

  private static func demandInt8(_ layers: [BenchmarkedLayer], _ machine: Machine, _ device: MoELayer.Device) throws {
    guard device == .cpu else { throw Failure("--device \(device.rawValue) has no kernel on int8 activations") }
    for case .preset(_, let formats) in layers where [formats.gateUp, formats.down].allSatisfy({ machine.kernels.int8GEMMName($0) == nil }) {
      throw Failure("\(formats) has no kernel on int8 activations; use --activations float")
    }
  }
}

extension String {
  /// Parts between commas.
  var list: [String] { split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
}
