// `kernbench` alone: the machine, then the default suite in about a minute.

import ArgumentParser
import Foundation
import MoE

struct Suite: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suite", abstract: "Reports the machine and measures published layers in about a minute (the default).")

  @Option(help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @Option(help: "Seconds after which no further row is begun.") var budget = 60.0
  @Option(help: "Seed of weights and hidden states.") var seed: UInt64 = 1
  @Option(help: "Where the results go.") var json = "kernbench.json"
  @Option(help: "Where the page with plots goes.") var html = "kernbench.html"

  /// What matters most comes first: what the budget does not reach is left out.
  private static let formats = ["q4_0", "q8_0", "mxfp4", "bf16", "q4_k"]
  private static let layers = ["qwen3-30b-a3b", "olmoe", "deepseek-v2-lite"]

  func run() throws {
    let files = (json: try ReportFile(json), html: try ReportFile(html))
    let machine = try Run.machine(threads: threads, isa: isa)
    for line in Devices.report(machine.topology) { print(line) }
    let report = MachineReport(machine: machine, peaks: try Peaks(machine, int8: true), seed: seed)
    print(report.line)
    print()
    print(Row.header)
    let clock = ContinuousClock(), start = clock.now
    var rows: [Row] = [], notes: [String] = []
    for format in Self.formats {
      for name in Self.layers {
        guard clock.now - start < .seconds(budget) else {
          notes.append("\(name), \(format): left out for time")
          continue
        }
        // Rows of 1408 values are no whole blocks of 256: published files of this layer have q5_0 there.
        let formats = try FormatPair(name == "deepseek-v2-lite" && format == "q4_k" ? "q4_k/q5_0" : format)
        let layer = BenchmarkedLayer.preset(try Preset(name), formats)
        do { try layer.check() } catch {
          notes.append("\(error)")
          continue
        }
        let int8 = machine.kernels.int8GEMMName(formats.gateUp) == nil ? [] : [ActivationPrecision.int8]
        try Run.rows(layer, tokens: [1, 32], precisions: [.float] + int8, device: .cpu, report, seconds: 0.3) { rows.append($0) }
      }
    }
    for note in notes { print(note) }
    try files.json.write(report.json(rows))
    try files.html.write(HTMLReport(report, rows, notes: notes).text)
    print("\(json), \(html): \(rows.count) rows")
    guard rows.allSatisfy(\.isInBound) else { throw ExitCode(1) }
  }
}
