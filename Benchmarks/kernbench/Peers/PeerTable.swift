// The rows of `peers` side by side, and what of the figures is reached.

import MoE

/// One layer, format and number of tokens: our row and the others'.
struct PeerCell {
  let ours: Row
  let peers: [PeerRow]

  /// The fastest of the systems with this prefix.
  func best(_ prefix: String) -> (name: String, ratio: Double, isContended: Bool)? {
    peers.compactMap { row in
      guard let system = row.system, system.name.hasPrefix(prefix), let ratio = row.ratio else { return nil }
      return (system.name, ratio, row.disturbance.isContended)
    }.min { $0.1 < $1.1 }
  }

  /// With a question mark where other programs ran.
  private func ratio(_ name: String) -> String {
    guard let row = peers.first(where: { $0.system?.name == name }), let ratio = row.ratio else { return "-" }
    return fixed(ratio, 2) + (row.disturbance.isContended ? "?" : "")
  }

  private static let table = Table(columns: [
    .init(title: "layer", width: 18, isText: true), .init(title: "format", width: 9, isText: true), .init(title: "tokens", width: 6),
    .init(title: "ours ms", width: 9), .init(title: "GFLOP/s", width: 7), .init(title: "GB/s", width: 5), .init(title: "llama.cpp", width: 9),
    .init(title: "repack", width: 6), .init(title: "better", width: 6, isText: true), .init(title: "onnxruntime", width: 15, isText: true),
    .init(title: "torch", width: 18, isText: true), .init(title: "openblas", width: 8),
  ])

  static var header: String { table.header }

  /// Ratios of the others' medians to ours; of systems with several settings that of the fastest, which is named.
  var line: String {
    let family = peers.contains { $0.system?.name.hasPrefix("llama.cpp-avx2") == true } ? "llama.cpp-avx2" : "llama.cpp"
    func named(_ prefix: String) -> String {
      best(prefix).map { "\(fixed($0.ratio, 2))\($0.isContended ? "?" : "") \($0.name.dropFirst(prefix.count + 1))" } ?? "-"
    }
    return Self.table.line([
      ours.shortLayer, ours.format, "\(ours.tokens)", ours.times.map { fixed($0.medianMs, 3) } ?? "-", ours.times.map { fixed($0.gflops, 1) } ?? "-",
      ours.times.map { fixed($0.weightGBps, 1) } ?? "-", ratio(family), ratio(family + "-repack"),
      best("llama.cpp").map { $0.name.hasSuffix("-repack") ? "repack" : "plain" } ?? "-", named("onnxruntime"), named("torch"), ratio("openblas"),
    ])
  }
}

extension PeerFigures {
  /// A line for each figure whose cell was measured.
  static func verdicts(_ cells: [PeerCell], peaks: Peaks) -> [String] {
    func cell(_ figure: Figure) -> PeerCell? {
      cells.first { $0.ours.layer == figure.layer && $0.ours.format == figure.format && $0.ours.tokens == figure.tokens }
    }
    let ratios = all.compactMap { figure in cell(figure).flatMap { verdict(figure, $0, peaks) } }
    let ahead = cells.flatMap { cell in
      ["onnxruntime", "torch", "openblas"].compactMap { cell.best($0) }.filter { $0.ratio <= 1 && !$0.isContended }.map { behind in
        "\(cell.ours.shortLayer) \(cell.ours.format) \(cell.ours.tokens): not ahead of \(behind.name), \(fixed(behind.ratio, 2))"
      }
    }
    return ratios + ahead + shares(cells, peaks)
  }

  private static func verdict(_ figure: Figure, _ cell: PeerCell, _ peaks: Peaks) -> String? {
    guard let best = cell.best("llama.cpp"), let times = cell.ours.times else { return nil }
    let share = times.weightGBps / peaks.readGBps
    let word =
      if best.isContended {
        "unsure, other programs ran"
      } else if best.ratio >= figure.ratio {
        "reached"
      } else if figure.orBandwidth, share >= bandwidthShare {
        "reached by \(fixed(100 * share, 0))% of the read bandwidth"
      } else {
        "not reached" + (figure.orBandwidth ? ", \(fixed(100 * share, 0))% of the read bandwidth" : "")
      }
    return "\(figure.layer) \(figure.format) \(figure.tokens): \(fixed(best.ratio, 2)) x \(best.name), at least \(fixed(figure.ratio, 2)): \(word)"
  }

  private static func shares(_ cells: [PeerCell], _ peaks: Peaks) -> [String] {
    cells.compactMap { cell in
      let row = cell.ours
      guard row.tokens == 512, row.activations != .bfloat16, let times = row.times,
        let entry = peakShares.first(where: { $0.formats.contains(row.format) }), let peak = peaks.operations(entry.arithmetic)
      else { return nil }
      let share = times.gflops / peak
      let word = cell.peers.contains(where: \.disturbance.isContended) ? "unsure, other programs ran" : share >= entry.share ? "reached" : "not reached"
      let name = switch entry.arithmetic {
      case .float: "multiply-adds"
      case .int8: "int8 products summed in 16 bits"
      case .int8Wide: "int8 products summed in 32 bits"
      case .bf16: "bf16 products"
      }
      return "\(row.shortLayer) \(row.format) 512: \(fixed(100 * share, 0))% of the peak of \(name), at least \(fixed(100 * entry.share, 0))%: \(word)"
    }
  }
}
