// Rows of two reports that belong together, and what their times say.

import Foundation
import MoE

/// Rows of two reports that belong together, and those that do not.
struct Comparison {
  struct Pair {
    let key: ReportedRow.Key
    /// Nil when either row has no time.
    let interval: RatioInterval?
    let oldMs: Double?
    let newMs: Double?
    let verdict: Verdict
    /// True when the machine's drift could change the verdict.
    var isUnsure = false
  }
  enum Verdict: String {
    case slower, faster, same = ""
    /// The new row is out of its bound, the old one was not.
    case lost
    /// Neither row has a time, or only the new one.
    case untimed

    /// Of an interval whose ratios are divided by what the machine's drift explains.
    init(_ bounds: ClosedRange<Double>?, threshold: Double, by factor: Double = 1) {
      if let bounds, bounds.lowerBound / factor > 1 + threshold { self = .slower }
      else if let bounds, bounds.upperBound / factor < 1 / (1 + threshold) { self = .faster }
      else { self = .same }
    }
  }

  let pairs: [Pair]
  let onlyOld: [ReportedRow.Key]
  let onlyNew: [ReportedRow.Key]
  let drift: MachineDrift
  let threshold: Double

  init(old: ReportedRows, new: ReportedRows, threshold: Double) {
    let found = Dictionary(uniqueKeysWithValues: new.rows.map { ($0.key, $0) }), known = Set(old.rows.map(\.key))
    let drift = MachineDrift(old: old, new: new), factors = drift.factors(beyond: threshold)
    self.threshold = threshold
    self.drift = drift
    onlyOld = old.rows.map(\.key).filter { found[$0] == nil }
    onlyNew = new.rows.map(\.key).filter { !known.contains($0) }
    pairs = old.rows.compactMap { old in
      guard let new = found[old.key] else { return nil }
      guard let before = old.times, let after = new.times else {
        let verdict: Verdict = old.times != nil ? .lost : .untimed
        return Pair(key: old.key, interval: nil, oldMs: old.times?.medianMs, newMs: new.times?.medianMs, verdict: verdict)
      }
      let interval = RatioInterval(old: before, new: after)
      let verdict = Verdict(interval.bounds, threshold: threshold)
      let isUnsure = factors.contains { Verdict(interval.bounds, threshold: threshold, by: $0) != verdict }
      return Pair(
        key: old.key, interval: interval, oldMs: before.medianMs, newMs: after.medianMs, verdict: verdict, isUnsure: isUnsure)
    }
  }

  /// Rows that make the comparison fail.
  var failures: Int { pairs.count { $0.verdict == .slower || $0.verdict == .lost } }

  /// Nil when no row has a ratio.
  var geometricMean: Double? {
    let ratios = pairs.compactMap { $0.interval?.ratio }
    return ratios.isEmpty ? nil : exp(ratios.reduce(0) { $0 + log($1) } / Double(ratios.count))
  }

  private static let table = Table(columns: [
    .init(title: "layer", width: 22, isText: true), .init(title: "format", width: 11, isText: true), .init(title: "act", width: 5, isText: true),
    .init(title: "tokens", width: 6), .init(title: "old ms", width: 9), .init(title: "new ms", width: 9), .init(title: "new/old", width: 7),
    .init(title: "95% interval", width: 15), .init(title: "", width: 26, isText: true),
  ])

  var lines: [String] {
    var lines = [drift.line, Self.table.header].compactMap { $0 }
    for pair in pairs {
      let bounds = pair.interval?.bounds.map { "\(fixed($0.lowerBound, 3)) - \(fixed($0.upperBound, 3))" } ?? "none"
      let note = [pair.verdict.rawValue, pair.isUnsure ? "unsure" : "", pair.interval?.source == .spread ? "by spread" : ""].filter { !$0.isEmpty }.joined(separator: ", ")
      lines.append(
        Self.table.line(
          pair.key.words.prefix(4).enumerated().map { $0 == 0 ? shortLayerName($1) : $1 } + [
            pair.oldMs.map { fixed($0, 3) } ?? "-", pair.newMs.map { fixed($0, 3) } ?? "-",
            pair.interval.map { fixed($0.ratio, 3) } ?? "-", bounds, note,
          ]))
    }
    for (place, keys) in [("old", onlyOld), ("new", onlyNew)] {
      lines += keys.map { "only in \(place): \($0.words.joined(separator: ", ")), \($0.kernel)" }
    }
    let mean = geometricMean.map { "geometric mean new/old \(fixed($0, 3))" } ?? "no ratio"
    let slower = pairs.count { $0.verdict == .slower }, faster = pairs.count { $0.verdict == .faster }
    let lost = pairs.count { $0.verdict == .lost }
    var counts = "\(pairs.count) rows compared, \(slower) slower, \(faster) faster by more than \(fixed(100 * threshold, 1))%"
    if lost > 0 { counts += ", \(lost) without a time now" }
    let unsure = pairs.count { $0.isUnsure }
    if unsure > 0 { counts += ", \(unsure) unsure since the machine drifted" }
    lines.append("\(counts); \(onlyOld.count) only in old, \(onlyNew.count) only in new; \(mean)")
    return lines
  }

  var report: JSON {
    func number(_ value: Double?) -> JSON { value.map(JSON.number) ?? .null }
    func members(_ key: ReportedRow.Key) -> [String: JSON] {
      var members: [String: JSON] = [
        "layer": .string(key.layer), "format": .string(key.format), "activations": .string(key.activations), "tokens": .integer(key.tokens),
        "threads": .integer(key.threads), "device": .string(key.device), "kernel": .string(key.kernel),
      ]
      if !key.system.isEmpty { members["system"] = .string(key.system) }
      return members
    }
    return .object([
      "threshold": .number(threshold), "drift": drift.report, "geometricMean": number(geometricMean), "failures": .integer(failures),
      "onlyOld": .array(onlyOld.map { .object(members($0)) }), "onlyNew": .array(onlyNew.map { .object(members($0)) }),
      "rows": .array(
        pairs.map { pair in
          .object(
            members(pair.key).merging([
              "oldMs": number(pair.oldMs), "newMs": number(pair.newMs), "ratio": number(pair.interval?.ratio),
              "low": number(pair.interval?.bounds?.lowerBound), "high": number(pair.interval?.bounds?.upperBound),
              "interval": .string((pair.interval?.source ?? .none).rawValue),
              "verdict": .string(pair.verdict == .same ? "same" : pair.verdict.rawValue), "unsure": .bool(pair.isUnsure),
            ]) { first, _ in first })
        }),
    ])
  }
}
