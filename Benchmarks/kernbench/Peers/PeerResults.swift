// Everything that the reports of `peers` tell.

import MoE

/// Rows as they come, and what has none.
struct PeerResults {
  let machine: MachineReport
  private(set) var cells: [PeerCell] = []
  private(set) var skipped: [(system: String, layer: String?, format: String?, tokens: Int?, reason: String)] = []
  /// Rows of systems since the last cell.
  private var pending: [PeerRow] = []

  init(_ machine: MachineReport) { self.machine = machine }

  /// Shows the row at once; it belongs to the next cell of its number of tokens.
  mutating func append(_ row: PeerRow) {
    Progress.clear()
    Output.line(row.line)
    pending.append(row)
  }

  /// Our own row ends its cell.
  mutating func finish(_ ours: Row) {
    Progress.clear()
    Output.line(PeerRow(ours).line)
    cells.append(PeerCell(ours: ours, peers: pending.filter { $0.row.tokens == ours.tokens }))
    pending.removeAll { $0.row.tokens == ours.tokens }
  }

  mutating func skip(_ system: String, layer: String? = nil, format: String? = nil, tokens: Int? = nil, _ reason: String) {
    Progress.clear()
    skipped.append((system, layer, format, tokens, reason))
    let place = [layer.map(shortLayerName), format, tokens.map { "\($0) token\($0 == 1 ? "" : "s")" }].compactMap { $0 }
    Output.line("not run: \(([system] + place).joined(separator: " ")): \(reason)")
  }

  private var rows: [PeerRow] { cells.flatMap { $0.peers + [PeerRow($0.ours)] } }
  var csv: String { csvText(rows.map(\.fields)) }

  var json: String {
    func text(_ value: String?) -> JSON { value.map(JSON.string) ?? .null }
    return JSON.object([
      "machine": machine.report, "notes": .array(machine.notes.map(JSON.string)), "rows": .array(rows.map(\.report)),
      "figures": .array(PeerFigures.verdicts(cells, peaks: machine.peaks).map(JSON.string)),
      "skipped": .array(skipped.map { cell in
        .object([
          "system": .string(cell.system), "layer": text(cell.layer), "format": text(cell.format), "tokens": cell.tokens.map(JSON.integer) ?? .null,
          "reason": .string(cell.reason),
        ])
      }),
    ]).serialized(pretty: true) + "\n"
  }
}
