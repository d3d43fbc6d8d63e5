// One row of results: as a line, as JSON, as CSV.

import Foundation
import MoE

/// What one cell of the benchmark gave; no times when the output was out of its bound.
struct Row {
  struct Times {
    let medianMs: Double
    let minMs: Double
    /// Distance of the quartiles over the median.
    let spread: Double
    let gflops: Double
    let weightGBps: Double
    /// Time that the machine's peaks allow, over the median.
    /// Nil where a peak was refused.
    let roofline: Double?
    /// The calls timed, in order; evenly thinned out to `keptSamples`.
    let samplesMs: [Double]
    /// Median of each stage that the layer has, from calls of their own.
    let stagesMs: [(stage: LayerStage, ms: Double)]
  }
  /// Timings of a row that reports keep.
  static let keptSamples = 200

  let layer: String
  let format: String
  let activations: ActivationPrecision
  let tokens: Int
  let threads: Int
  let device: String
  let layout: WeightLayout
  let kernel: String
  let times: Times?
  let error: Double
  let bound: Double
  let residentBytes: Int
  /// True when the weights fit the caches, so that times are no times of memory.
  let isCached: Bool
  /// True when threads shared CPUs.
  let isOversubscribed: Bool

  var isInBound: Bool { error <= bound }

  private static let table = Table(columns: [
    .init(title: "layer", width: 22, isText: true), .init(title: "format", width: 11, isText: true), .init(title: "act", width: 8, isText: true),
    .init(title: "tokens", width: 6), .init(title: "median ms", width: 9), .init(title: "min ms", width: 9), .init(title: "GFLOP/s", width: 7),
    .init(title: "GB/s", width: 6), .init(title: "roof", width: 4), .init(title: "error", width: 7), .init(title: "note", width: 29, isText: true),
  ])

  static var header: String { table.header }

  var line: String {
    guard let times else {
      let text = "out of bound: error \(String(format: "%.1e", error)), bound \(String(format: "%.1e", bound))"
      return Self.table.line([shortLayer, format, activations.rawValue, "\(tokens)"]) + "  " + text
    }
    let note = [times.spread > 0.1 ? "noisy" : nil, isCached ? "cached" : nil, isOversubscribed ? "oversubscribed" : nil].compactMap { $0 }.joined(separator: ", ")
    return Self.table.line([
      shortLayer, format, activations.rawValue, "\(tokens)", fixed(times.medianMs, 3), fixed(times.minMs, 3), fixed(times.gflops, 1),
      fixed(times.weightGBps, 1), times.roofline.map { fixed(100 * $0, 0) + "%" } ?? "-", String(format: "%.0e", error), note,
    ])
  }

  var shortLayer: String { shortLayerName(layer) }

  /// What JSON and CSV tell alike.
  var fields: [(name: String, value: JSON)] {
    func number(_ value: Double?) -> JSON { value.map(JSON.number) ?? .null }
    return [
      ("layer", .string(layer)), ("format", .string(format)), ("activations", .string(activations.rawValue)), ("tokens", .integer(tokens)),
      ("threads", .integer(threads)), ("device", .string(device)), ("layout", .string(layout.rawValue)), ("kernel", .string(kernel)), ("medianMs", number(times?.medianMs)),
      ("minMs", number(times?.minMs)), ("spread", number(times?.spread)), ("gflops", number(times?.gflops)),
      ("weightGBps", number(times?.weightGBps)), ("roofline", number(times?.roofline ?? nil)), ("error", .number(error)), ("bound", .number(bound)),
      ("residentBytes", .integer(residentBytes)), ("cached", .bool(isCached)), ("oversubscribed", .bool(isOversubscribed)),
    ]
  }

  /// All fields, and what has no place in a line of CSV: timings and stages.
  var report: JSON {
    var members = Dictionary(uniqueKeysWithValues: fields.map { ($0.name, $0.value) })
    func nanoseconds(_ ms: Double) -> JSON { .number((ms * 1e6).rounded() / 1e6) }
    members["samplesMs"] = times.map { .array($0.samplesMs.map(nanoseconds)) } ?? .null
    members["stagesMs"] = times.map { .object(Dictionary(uniqueKeysWithValues: $0.stagesMs.map { ($0.stage.rawValue, nanoseconds($0.ms)) })) } ?? .null
    return .object(members)
  }

  static func csv(_ rows: [Row]) -> String { csvText(rows.map(\.fields)) }
}

/// Rows of the same fields as RFC 4180 text with a header.
func csvText(_ rows: [[(name: String, value: JSON)]]) -> String {
  guard let first = rows.first else { return "" }
  let lines = rows.map { fields in
    fields.map { field in
      switch field.value {
      case .string(let value): value.contains { ",\"\n".contains($0) } ? "\"\(value.replacingOccurrences(of: "\"", with: "\"\""))\"" : value
      case .null: ""
      default: field.value.serialized()
      }
    }.joined(separator: ",")
  }
  return ([first.map(\.name).joined(separator: ",")] + lines).map { $0 + "\r\n" }.joined()
}

/// "2048x768 e128 k8" for a shape given in words, "olmoe e16" for a shrunken preset.
func shortLayerName(_ layer: String) -> String {
  layer.replacingOccurrences(of: "hidden=", with: "").replacingOccurrences(of: ",intermediate=", with: "x")
    .replacingOccurrences(of: ",experts=", with: " e").replacingOccurrences(of: ",topK=", with: " k")
    .replacingOccurrences(of: " (", with: " e").replacingOccurrences(of: " experts)", with: "")
}
