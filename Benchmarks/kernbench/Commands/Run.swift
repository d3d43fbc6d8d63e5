// `kernbench run`: any cell of the benchmark.

import ArgumentParser
import MoE

struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Checks and times layers in formats for numbers of tokens.")

  @Option(help: "Presets, hidden=..,intermediate=..,experts=..,topK=.., or paths of checkpoints; separated by commas.") var layer: String
  @Option(help: "FORMAT or GATEUP/DOWN, separated by commas; not for checkpoints.") var format: String?
  @Option(parsing: .unconditional, help: "Tokens a call, separated by commas.") var tokens = "1,32"
  @Option(parsing: .unconditional, help: "Layer of the checkpoint; its first MoE layer by default.") var index: Int?
  @Option(parsing: .unconditional, help: "Fewer experts than the presets have.") var experts: Int?
  @Option(parsing: .unconditional, help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Flag(inversion: .prefixedNo, help: "Whether each worker thread is kept on a CPU of its own; by default where there is one for each.")
  var pinned: Bool?
  @Option(help: "cpu, blas, opencl, opencl:N, auto, or cpu+opencl:N for both at the same time.") var device = "cpu"
  @Option(parsing: .unconditional, help: "Experts on the device beside the CPU; half of them by default.") var deviceExperts: Int?
  @Option(help: "float, int8, bfloat16, or some of them separated by commas.") var activations = "float"
  @Option(help: "How weights lie in memory: rows, panels or auto.") var layout = LayoutChoice.auto
  @OptionGroup var cache: PackedCacheChoice
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @Option(parsing: .unconditional, help: "Seconds of timing a row.") var seconds = 0.5
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
    let device = try DeviceChoice(device, experts: deviceExperts), precisions = try activations.list.map(ActivationPrecision.init(word:))
    let packedCache = try cache.cache(for: layers), files = try ReportFiles(json: json, csv: csv, html: html)
    let machine = try Self.machine(threads: threads, pinned: pinned, isa: isa)
    if let obstacle = Self.obstacle(to: precisions, layers, machine, device.device) { throw Failure("\(obstacle); use --activations float") }

    let report = MachineReport(machine: machine, peaks: try Peaks(machine, precisions), seed: seed)
    var results = Results(report, device: device)
    print(report.line)
    for note in results.notes { print("note: \(note)") }
    print(Row.header)
    for layer in layers {
      try Self.measure(
        layer, tokens: tokens, precisions: precisions, device: device, layout: layout.layout, packedCache: packedCache, seconds: seconds,
        into: &results)
    }
    if results.rows.isEmpty, let cell = results.skipped.first { throw Failure("nothing can run: \(cell.words)") }
    for cell in results.skipped { print("not run: \(cell.words)") }
    try files.write(results)
    guard results.rows.allSatisfy(\.isInBound) else { throw ExitCode(1) }
  }

  /// Rows of one layer, each shown as it is done.
  ///
  /// - Parameter reason: why a cell is left out, asked before each with the row before it; nil to measure it.
  static func measure(
    _ layer: BenchmarkedLayer, tokens: [Int], precisions: [ActivationPrecision], device: DeviceChoice, layout: WeightLayout? = nil,
    packedCache: PackedCache? = nil, seconds: Double, into results: inout Results, unless reason: (_ tokens: Int, _ last: Row?) -> String? = { _, _ in nil }
  ) throws {
    let machine = results.machine.machine, seed = results.machine.seed
    let (name, configuration, weights) = try layer.load(machine, seed: seed)
    for precision in precisions {
      let benchmark = try LayerBenchmark(
        name: name, configuration: configuration, weights: weights, machine: machine, device: device.device, activations: precision, layout: layout,
        packedCache: packedCache, placement: try device.placement(of: weights, on: machine.topology), seed: seed)
      for line in benchmark.cacheLines { results.note(line) }
      if let obstacle = benchmark.obstacle {
        results.skip(SkippedCell(layer: name, format: benchmark.format, activations: precision, reason: obstacle))
        continue
      }
      var last: Row?
      for count in tokens {
        if let reason = reason(count, last) {
          results.skip(SkippedCell(layer: name, format: benchmark.format, activations: precision, tokens: count, reason: reason))
          continue
        }
        Progress.show("\(name), \(benchmark.format), \(precision.rawValue), \(count) token\(count == 1 ? "" : "s")")
        let row = try benchmark.row(tokens: count, peaks: results.machine.peaks, seconds: seconds)
        Progress.clear()
        results.append(row)
        last = row
      }
    }
  }

  static func machine(threads: Int?, pinned: Bool? = nil, isa: String?) throws -> Machine {
    guard let kernels = isa.map(KernelTable.init(named:)) ?? .best else {
      throw Failure("no kernels for '\(isa ?? "")' on this machine; there are \(KernelTable.runnable.map(\.name).joined(separator: ", "))")
    }
    return try Machine.current(threads: threads, pinned: pinned, kernels: kernels)
  }

  /// Why nothing of this can run, as far as that is known before a layer is loaded.
  private static func obstacle(
    to precisions: [ActivationPrecision], _ layers: [BenchmarkedLayer], _ machine: Machine, _ device: MoELayer.Device
  ) -> String? {
    if case .openCL = device { return nil }
    guard !precisions.contains(.float) else { return nil }
    let kind = "kernel on \(precisions.map(\.rawValue).joined(separator: " or ")) activations"
    guard device == .cpu else { return "--device \(device) has no \(kind)" }
    let lacking = layers.compactMap { layer -> FormatPair? in
      guard case .preset(_, let formats) = layer, !precisions.contains(where: { formats.hasKernel(on: $0, machine.kernels) }) else { return nil }
      return formats
    }
    guard lacking.count == layers.count else { return nil }
    let names = Set(lacking.map(\.description)).sorted()
    return "\(names.joined(separator: ", ")) \(names.count == 1 ? "has" : "have") no \(kind)"
  }
}

extension ActivationPrecision {
  /// - Throws: `Failure` for another word.
  init(word: String) throws {
    guard let precision = ActivationPrecision(rawValue: word) else {
      throw Failure("unknown activations '\(word)'; there are \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    self = precision
  }
}

extension FormatPair {
  /// True when the products of some matrices have a kernel on these activations.
  func hasKernel(on activations: ActivationPrecision, _ kernels: KernelTable) -> Bool {
    [gateUp, down].contains { kernels.gemmName($0, on: activations) != nil }
  }
}

extension String {
  /// Parts between commas.
  var list: [String] { split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
}
