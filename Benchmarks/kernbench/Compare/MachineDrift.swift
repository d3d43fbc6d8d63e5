// How the machine itself differs between two reports, by the peaks measured before their rows.

import MoE

/// Ratios new / old of the machine's peaks; nil where a report has none.
struct MachineDrift {
  let read: Double?
  let arithmetic: Double?

  init(old: ReportedRows, new: ReportedRows) {
    func ratio(_ peak: (ReportedRows) -> Double?) -> Double? {
      guard let old = peak(old), let new = peak(new) else { return nil }
      return new / old
    }
    read = ratio(\.readGBps)
    arithmetic = ratio(\.fmaGflops)
  }

  /// What the drift alone would do to a row's ratio, where that is more than `threshold`.
  func factors(beyond threshold: Double) -> [Double] {
    [read, arithmetic].compactMap { $0 }.map { 1 / $0 }.filter { max($0, 1 / $0) > 1 + threshold }
  }

  /// Nil when the reports have no peaks in common.
  var line: String? {
    let parts = [read.map { "read \(fixed($0, 3))" }, arithmetic.map { "multiply-adds \(fixed($0, 3))" }].compactMap { $0 }
    return parts.isEmpty ? nil : "machine new/old: \(parts.joined(separator: ", "))"
  }

  var report: JSON {
    .object(["readGBps": read.map(JSON.number) ?? .null, "fmaGflops": arithmetic.map(JSON.number) ?? .null])
  }
}
