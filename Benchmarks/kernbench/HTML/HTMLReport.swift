// A report as one HTML file: facts, plots, stages and the table, with nothing loaded from elsewhere.

import Foundation
import MoE

struct HTMLReport {
  private let machine: MachineReport
  private let rows: [Row]
  private let results: Results
  private let colors: FormatColors
  private let layers: [String]

  init(_ results: Results) {
    machine = results.machine
    rows = results.rows
    self.results = results
    colors = FormatColors(rows)
    var layers: [String] = []
    for row in rows where !layers.contains(row.layer) { layers.append(row.layer) }
    self.layers = layers
  }

  var text: String {
    let roofline = RooflinePlot(peaks: machine.peaks, rows: rows, colors: colors)
    let body = """
      <header>
      <p class="kicker">kernbench</p>
      <h1>\(machine.machine.topology.cpuModel.escaped)</h1>
      \(facts)\(list(results.notes))</header>
      <section>
      <h2>Roofline</h2>
      <p>What memory and arithmetic of this machine allow, and how close each row comes. The limit left of a ridge is memory, right of it \
      arithmetic. Point at a mark for its row.</p>
      \(colors.legend(rows))\(roofline.picture(width: 960, height: 430, name: "wide"))\(roofline.picture(width: 360, height: 340, name: "narrow"))</section>
      <section>
      <h2>Time against tokens</h2>
      \(colors.legend(rows))<div class="panels">
      \(layers.map { TokensPlot(layer: $0, rows: rows, colors: colors).picture }.joined())</div>
      </section>
      \(stages)<section>
      <h2>Rows</h2>
      <p>Median time of a call, GB/s of the weights touched, percent of the roofline. ~ marks a noisy median.\(cached)</p>
      \(table)</section>
      \(skipped)
      """
    return HTMLPage.text(title: "kernbench, \(machine.machine.topology.cpuModel)", body: body)
  }

  private var skipped: String {
    results.skipped.isEmpty ? "" : "<section>\n<h2>Not run</h2>\n\(list(results.skipped.map { $0.words }))</section>\n"
  }

  private func list(_ lines: [String]) -> String {
    lines.isEmpty ? "" : "<ul class=\"notes\">\(lines.map { "<li>\($0.escaped)</li>" }.joined())</ul>\n"
  }

  private var cached: String {
    let names = layers.filter { layer in rows.contains { $0.layer == layer && $0.isCached } }.map(shortLayerName)
    return names.isEmpty ? "" : " Weights in the caches, not in memory: \(names.joined(separator: ", ").escaped)."
  }

  /// Three digits, at least.
  static func time(_ ms: Double) -> String { fixed(ms, ms < 1 ? 3 : ms < 10 ? 2 : 1) }

  private var facts: String {
    let peaks = machine.peaks
    var facts = [
      ("kernels", machine.machine.kernels.name), ("threads", "\(machine.machine.pool.threads)"),
      ("memory read", "\(fixed(peaks.readGBps, 1)) GB/s"), ("f32 multiply-add", "\(fixed(peaks.fmaGflops, 0)) GFLOP/s"),
    ]
    if let int8 = peaks.int8Gops { facts.append(("int8, 16-bit sums", "\(fixed(int8, 0)) Gop/s")) }
    if let wide = peaks.int8WideGops { facts.append(("int8, 32-bit sums", "\(fixed(wide, 0)) Gop/s")) }
    if let bf16 = peaks.bf16Gflops { facts.append(("bf16 products", "\(fixed(bf16, 0)) GFLOP/s")) }
    facts.append(("date", Date.now.formatted(.iso8601.year().month().day())))
    facts.append(("seed", "\(machine.seed)"))
    var text = "<dl>" + facts.map { "<div><dt>\($0.0.escaped)</dt><dd>\($0.1.escaped)</dd></div>" }.joined()
    for device in (try? OpenCL.devices()) ?? [] { text += "<div class=\"wide-fact\"><dt>OpenCL</dt><dd>\("\(device)".escaped)</dd></div>" }
    return text + "</dl>\n"
  }

  private static let stageNames: [LayerStage: String] = [
    .route: "route", .plan: "plan", .gateUp: "gate, up", .down: "down, combine",
  ]

  /// A bar a row, each stage's share of the layer's time.
  private var stages: String {
    let used = LayerStage.allCases.filter { stage in rows.contains { $0.times?.stagesMs.contains { $0.stage == stage } ?? false } }
    guard !used.isEmpty else { return "" }
    var text = "<section>\n<h2>Where the time goes</h2>\n<p>Stages of a call; at the end of a bar their sum. Point at a part for its time.</p>\n<ul class=\"legend\">"
    for stage in used { text += "<li><i class=\"\(stage.rawValue)\"></i>\(Self.stageNames[stage, default: stage.rawValue].escaped)</li>" }
    text += "</ul>\n"
    for layer in layers {
      text += "<h3>\(shortLayerName(layer).escaped)</h3>\n<div class=\"bars\">\n"
      for row in rows where row.layer == layer {
        guard let stages = row.times?.stagesMs else { continue }
        let total = stages.reduce(0) { $0 + $1.ms }
        text += "<div class=\"row\"><span class=\"what\">\(name(row)) \u{00D7} \(row.tokens)</span><span class=\"bar\">"
        for (stage, ms) in stages {
          let share = 100 * ms / total
          let title = "\(Self.stageNames[stage, default: stage.rawValue]): \(Self.time(ms)) ms, \(fixed(share, 1))%"
          text += "<span class=\"\(stage.rawValue)\" style=\"flex-grow:\(fixed(share, 2))\" title=\"\(title.escaped)\">"
          text += share >= 14 ? "\(fixed(share, 0))%</span>" : "</span>"
        }
        text += "</span><span class=\"sum\">\(Self.time(total)) ms</span></div>\n"
      }
      text += "</div>\n"
    }
    return text + "</section>\n"
  }

  /// The format with its colour, and what its activations were rounded to.
  private func name(_ row: Row) -> String {
    let isRounded = row.activations != .float, shape = isRounded ? " class=\"diamond\"" : ""
    return "<i\(shape) style=\"background:\(colors[row.format])\"></i>\(row.format.escaped)\(isRounded ? " \(row.activations.rawValue)" : "")"
  }

  private var table: String {
    var text = """
      <div class="scroll"><table>
      <thead><tr><th>format</th><th>tokens</th><th>ms</th><th class="extra">min ms</th><th>GFLOP/s</th><th>GB/s</th><th>roof</th>\
      <th class="extra">error</th><th class="extra">kernel</th></tr></thead>

      """
    for layer in layers {
      text += "<tbody><tr><th colspan=\"9\" class=\"layer\">\(shortLayerName(layer).escaped)</th></tr>\n"
      for row in rows where row.layer == layer {
        text += "<tr><td>\(name(row))</td><td>\(row.tokens)</td>"
        let error = String(format: "%.1e", row.error)
        guard let times = row.times else {
          text += "<td colspan=\"7\" class=\"bad\">out of bound: error \(error), bound \(String(format: "%.1e", row.bound))</td></tr>\n"
          continue
        }
        let percent = times.roofline.map { 100 * $0 }
        text += "<td>\(times.spread > 0.1 ? "<span class=\"noisy\">~</span>" : "")\(Self.time(times.medianMs))</td><td class=\"extra\">\(Self.time(times.minMs))</td><td>\(fixed(times.gflops, 1))</td>"
        text += "<td>\(fixed(times.weightGBps, 1))</td>"
        text += "<td class=\"roofshare\" style=\"--share:\(fixed(min(100, percent ?? 0), 0))%\">\(percent.map { fixed($0, 0) + "%" } ?? "-")</td><td class=\"extra\">\(error)</td>"
        text += "<td class=\"extra kernel\">\(row.kernel.escaped)</td></tr>\n"
      }
      text += "</tbody>\n"
    }
    return text + "</table></div>\n"
  }
}
