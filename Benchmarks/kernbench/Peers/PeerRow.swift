// A row of `peers`: as a line, as JSON, as CSV.

import Foundation
import MoE

/// A cell of the benchmark as one system computes it.
struct PeerRow {
  let row: Row
  /// Nil for this package.
  let system: PeerSystem?
  /// The system's median / ours, over the same rounds; nil where the system computed something else, and for this package.
  let ratio: Double?
  /// Our median over the same rounds.
  let oursMs: Double?
  let disturbance: Disturbance

  /// Our own row.
  init(_ row: Row) {
    (self.row, system, ratio, oursMs, disturbance) = (row, nil, nil, nil, .none)
  }

  init(_ row: Row, _ system: PeerSystem, ratio: Double?, oursMs: Double?, disturbance: Disturbance) {
    (self.row, self.system, self.ratio, self.oursMs, self.disturbance) = (row, system, ratio, oursMs, disturbance)
  }

  private static let table = Table(columns: [
    .init(title: "layer", width: 18, isText: true), .init(title: "format", width: 9, isText: true), .init(title: "tokens", width: 6),
    .init(title: "system", width: 22, isText: true), .init(title: "median ms", width: 9), .init(title: "ours ms", width: 9),
    .init(title: "ratio", width: 6), .init(title: "GFLOP/s", width: 7), .init(title: "GB/s", width: 5), .init(title: "error", width: 7),
    .init(title: "note", width: 24, isText: true),
  ])

  static var header: String { table.header }

  var line: String {
    let cells = [row.shortLayer, row.format, "\(row.tokens)", system?.name ?? "ours"]
    let errorText = String(format: "%.1e", row.error)
    guard let times = row.times else {
      return Self.table.line(cells) + "  computes something else: error \(errorText), bound \(String(format: "%.1e", row.bound)); no ratio"
    }
    let note = [
      disturbance.isContended ? "contended" : nil, disturbance.spins ? "spins" : nil, times.spread > 0.1 ? "noisy" : nil,
      row.isCached ? "cached" : nil, row.isOversubscribed ? "oversubscribed" : nil,
    ].compactMap { $0 }.joined(separator: ", ")
    return Self.table.line(cells + [
      fixed(times.medianMs, 3), oursMs.map { fixed($0, 3) } ?? "", ratio.map { fixed($0, 2) } ?? "", fixed(times.gflops, 1),
      holdsPublishedBytes ? fixed(times.weightGBps, 1) : "-", errorText, note,
    ])
  }

  /// True where the bytes read are those of the format, as llama.cpp's and ours are.
  private var holdsPublishedBytes: Bool { system?.name.hasPrefix("llama.cpp") ?? true }

  /// The fields of `kernbench run`, without what is not known of other systems, and the peer's own.
  var fields: [(name: String, value: JSON)] {
    var unknown: [String: JSON] = [:]
    if let system {
      unknown = ["activations": .string("-"), "layout": .null, "kernel": .string(system.name), "roofline": .null, "residentBytes": .null]
      if !holdsPublishedBytes { unknown["weightGBps"] = .null }
    }
    func text(_ value: String?) -> JSON { .string(value ?? "") }
    func number(_ value: Double?) -> JSON { value.map(JSON.number) ?? .null }
    return row.fields.map { ($0.name, unknown[$0.name] ?? $0.value) } + [
      ("system", text(system?.name)), ("version", text(system?.version)), ("settings", text(system?.settings)), ("ratio", number(ratio)),
      ("oursMs", number(oursMs)), ("spins", .bool(disturbance.spins)), ("contended", .bool(disturbance.isContended)),
    ]
  }

  var report: JSON {
    var members = Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
    members["samplesMs"] = row.times.map { .array($0.samplesMs.map { .number(($0 * 1e6).rounded() / 1e6) }) } ?? .null
    return .object(members)
  }
}
