// `kernbench compare`: two reports row by row.

import ArgumentParser
import MoE

struct Compare: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Ratios of two reports' times, row by row.",
    discussion: """
      The exit code is 1 when a row's whole 95% interval lies above the threshold, or a row lost its time. \
      A row is unsure when the machine's own drift could change what is said of it.
      """)

  @Argument(help: "The report to compare with.") var old: String
  @Argument(help: "The report that is compared.") var new: String
  @Option(parsing: .unconditional, help: "Percent that a row may be slower.") var threshold = 3.0
  @Option(help: "Writes the ratios to this file.") var json: String?

  func run() throws {
    guard threshold >= 0, threshold <= 10000 else { throw Failure("--threshold \(threshold): expected 0 ... 10000") }
    let file = try json.map(ReportFile.init)
    let before = try ReportedRows(path: old), after = try ReportedRows(path: new)
    let comparison = Comparison(old: before, new: after, threshold: threshold / 100)
    if before.cpu != after.cpu { print("two machines: \(before.cpu); \(after.cpu)") }
    for line in comparison.lines { print(line) }
    try Interrupts.held { try file?.write(comparison.report.serialized(pretty: true) + "\n") }
    if comparison.pairs.isEmpty { throw Failure("\(old) and \(new) have no row in common") }
    guard comparison.failures == 0 else { throw ExitCode(1) }
  }
}
