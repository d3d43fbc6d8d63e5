// What a run has measured, what it could not, and what is to be known about it.

import MoE

/// A cell that was asked for and has no row.
struct SkippedCell {
  let layer: String
  let format: String
  let activations: ActivationPrecision
  /// Nil for all numbers of tokens.
  var tokens: Int?
  let reason: String

  /// "olmoe bf16 int8: bf16 has no kernel on int8 activations".
  var words: String {
    "\(shortLayerName(layer)) \(format) \(activations.rawValue)\(tokens.map { " \($0) token\($0 == 1 ? "" : "s")" } ?? ""): \(reason)"
  }

  fileprivate var report: JSON {
    .object([
      "layer": .string(layer), "format": .string(format), "activations": .string(activations.rawValue),
      "tokens": tokens.map(JSON.integer) ?? .null, "reason": .string(reason),
    ])
  }
}

/// Everything that reports tell of a run.
struct Results {
  let machine: MachineReport
  /// Lines about the machine and its use.
  private(set) var notes: [String]
  private(set) var rows: [Row] = []
  private(set) var skipped: [SkippedCell] = []

  init(_ machine: MachineReport, device: DeviceChoice) {
    self.machine = machine
    notes = [device.note].compactMap { $0 } + machine.notes
  }

  /// Shows the row at once.
  mutating func append(_ row: Row) {
    Output.line(row.line)
    rows.append(row)
  }

  /// Shows the line at once.
  mutating func note(_ line: String) {
    Output.line("note: \(line)")
    notes.append(line)
  }

  mutating func skip(_ cell: SkippedCell) { skipped.append(cell) }

  var json: String {
    JSON.object([
      "machine": machine.report, "notes": .array(notes.map(JSON.string)), "rows": .array(rows.map(\.report)),
      "skipped": .array(skipped.map(\.report)),
    ]).serialized(pretty: true) + "\n"
  }
}
