// `kernbench` alone: the machine, then the default suite in about a minute.

import ArgumentParser
import MoE

struct Suite: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "suite", abstract: "Reports the machine and measures published layers in about a minute (the default).")

  @Option(parsing: .unconditional, help: "Worker threads; all that the machine allows by default.") var threads: Int?
  @Option(help: "Kernels of this instruction set instead of the best.") var isa: String?
  @Option(parsing: .unconditional, help: "Seconds after which no further row is begun.") var budget = 65.0
  @Option(help: "Seed of weights and hidden states.") var seed: UInt64 = 1
  @Option(help: "Where the results go.") var json = "kernbench.json"
  @Option(help: "Where the page with plots goes.") var html = "kernbench.html"

  /// What matters most comes first: what the budget does not reach is left out.
  private static let cells: [(layer: String, format: String, tokens: [Int])] = [
    ("qwen3-30b-a3b", "q4_0", [1, 4, 32, 512]), ("olmoe", "q4_0", [1, 4, 32, 512]),
    ("qwen3-30b-a3b", "q4_k", [1, 4, 32, 512]), ("olmoe", "q4_k", [1, 4, 32, 512]),
    ("gpt-oss-20b", "mxfp4", [1, 4, 32]),
    ("qwen3-30b-a3b", "q8_0", [1, 4, 32, 512]), ("olmoe", "q8_0", [1, 4, 32, 512]),
    ("qwen3-30b-a3b", "bf16", [1, 4, 32, 512]), ("olmoe", "bf16", [1, 4, 32, 512]),
    // Rows of 1408 values are no whole blocks of 256: published files of this layer have q5_0 there.
    ("deepseek-v2-lite", "q4_k/q5_0", [1, 32]),
  ]
  private static let precisions: [ActivationPrecision] = [.float, .int8]

  func run() throws {
    guard budget > 0, budget <= 86400 else { throw Failure("--budget \(budget): expected more than 0 and at most 86400") }
    let files = try ReportFiles(json: json, html: html)
    let machine = try Run.machine(threads: threads, isa: isa)
    for line in Devices.report(machine.topology) { print(line) }
    let clock = ContinuousClock(), end = clock.now + .seconds(budget)
    let report = MachineReport(machine: machine, peaks: try Peaks(machine, Self.precisions), seed: seed)
    let device = try DeviceChoice("cpu")
    var results = Results(report, device: device)
    print(report.line)
    for note in results.notes { print("note: \(note)") }
    print()
    Output.line(Row.header)
    for cell in Self.cells {
      let formats = try FormatPair(cell.format), layer = BenchmarkedLayer.preset(try Preset(cell.layer), formats)
      func skipAll(_ reason: String) {
        for precision in Self.precisions {
          results.skip(SkippedCell(layer: cell.layer, format: "\(formats)", activations: precision, reason: reason))
        }
      }
      guard clock.now < end else {
        skipAll("left out for time")
        continue
      }
      do { try layer.check() } catch {
        skipAll("\(error)")
        continue
      }
      try Run.measure(layer, tokens: cell.tokens, precisions: Self.precisions, device: device, seconds: 0.2, into: &results) { tokens, last in
        clock.now + Self.expected(tokens, after: last) < end ? nil : "left out for time"
      }
    }
    for cell in results.skipped { print("not run: \(cell.words)") }
    if results.rows.isEmpty { throw Failure("no row could be measured") }
    try files.write(results)
    print("\(json), \(html): \(results.rows.count) rows")
    guard results.rows.allSatisfy(\.isInBound) else { throw ExitCode(1) }
  }

  /// What a row will take at most: the check and three calls, in proportion to the tokens.
  private static func expected(_ tokens: Int, after last: Row?) -> Duration {
    guard let last, let times = last.times else { return .zero }
    return .milliseconds(4 * times.medianMs * Double(tokens) / Double(last.tokens))
  }
}
