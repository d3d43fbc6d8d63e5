// A plan as lines, as JSON, and as a page with the map of experts.

import Foundation
import MoE

struct PlacementReport {
  let topology: Topology
  let model: MachineModel
  let devices: [ComputeDevice]
  let layer: String
  let trace: String
  let tokens: Int
  let sizes: LayerSizes
  let loads: [[Double]]
  let plan: PlacementPlan
  let notes: [String]

  /// Nodes and devices that are written out one by one.
  private static let mostPlaces = 32

  private var first: Placement { plan.placements[0] }

  private var machineWords: String {
    func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
    let machines = model.machines > 1 ? " in \(model.machines) machines" : ""
    let memories = model.memories.isEmpty ? "" : " and \(model.memories.count) of memory alone"
    let cores = model.nodes.reduce(0) { $0 + $1.cores }
    return "\(count(model.nodes.count, "node"))\(memories)\(machines), \(count(cores, "core")), \(count(model.devices.count, "device"))"
  }

  private var speedWords: String {
    var words = "\(fixed(model.nodes[0].bandwidth / 1e9, 0)) GB/s a node"
    if model.remoteBandwidth.isFinite { words += ", \(fixed(model.remoteBandwidth / 1e9, 0)) GB/s from another" }
    if model.machines > 1 { words += ", \(fixed(model.speeds.machineLink / 1e9, 1)) GB/s between machines" }
    return words
  }

  private static let table = Table(columns: [
    Table.Column(title: "strategy", width: 14, isText: true), Table.Column(title: "us a step", width: 11), Table.Column(title: "ratio", width: 8),
    Table.Column(title: "bytes", width: 11), Table.Column(title: "", width: 60, isText: true),
  ])

  private func cells(_ prediction: StrategyPrediction) -> [String] {
    let ratio = prediction.seconds.map { seconds in plan.chosen.seconds.map { fixed(seconds / $0, 2) } ?? "-" } ?? "-"
    let word = prediction.obstacle ?? (prediction.strategy == first.strategy ? "chosen" : "")
    return [prediction.strategy.rawValue, prediction.seconds.map { fixed($0 * 1e6, 1) } ?? "-", ratio, binary(prediction.bytes), word]
  }

  /// Places with their experts: name, bytes, and the first layer's experts there with the part of each.
  private var places: [(name: String, bytes: Int, parts: [Double])] {
    let whole = Double(first.shares.reduce(0, +)), count = Double(first.nodes.count)
    var places = first.places.enumerated().map { place, os in
      let node = first.node(of: place), share = Double(first.shares[node]) / whole, isNode = place < first.nodes.count
      return (
        name: isNode ? "node \(os)" : "node \(os) by \(first.nodes[node])", bytes: plan.nodeBytes[place],
        parts: first.experts.map { home -> Double in
          switch home {
          case .interleaved: isNode ? 1 / count : 0
          case .split: isNode ? share : 0
          case .parts(let parts): parts[node] == place ? share : 0
          case .nodes(let copies): copies.contains(place) ? 1 : 0
          case .device: 0
          }
        }
      )
    }
    for (place, device) in model.devices.enumerated() {
      places.append(("device \(device.index)", plan.deviceBytes[place], first.experts.map { $0 == .device(device.index) ? 1 : 0 }))
    }
    return places
  }

  var lines: [String] {
    var lines = ["machine: \(machineWords); \(speedWords)", "layer: \(layer), \(binary(sizes.bytes)) a layer", "trace: \(trace)", ""]
    lines += notes.map { "note: \($0)" }
    lines.append(Self.table.header)
    lines += plan.predictions.map { Self.table.line(cells($0)) }
    lines.append("")
    lines += first.why.map { "why: \($0)" }
    for place in places.prefix(Self.mostPlaces) {
      let held = place.parts.indices.filter { place.parts[$0] > 0 }, whole = held.filter { place.parts[$0] == 1 }
      let part = held.first.map { "\(fixed(100 * place.parts[$0], 1))% of \(held.count) experts" } ?? "none"
      lines.append("\(place.name): \(binary(place.bytes)), \(whole.isEmpty ? part : "experts \(ranges(whole))")")
    }
    if places.count > Self.mostPlaces { lines.append("... and \(places.count - Self.mostPlaces) more") }
    return lines
  }

  private struct Document: Encodable {
    let layer, trace: String
    let tokens: Int
    let notes: [String]
    let plan: PlacementPlan
  }

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      let document = Document(layer: layer, trace: trace, tokens: tokens, notes: notes, plan: plan)
      return String(decoding: try encoder.encode(document), as: UTF8.self) + "\n"
    }
  }

  var html: String {
    let facts = [("layer", layer), ("tokens a step", "\(tokens)"), ("machine", machineWords), ("memory", speedWords), ("trace", trace)]
    let rows = plan.predictions.map { "<tr>" + cells($0).map { "<td>\($0.escaped)</td>" }.joined() + "</tr>\n" }.joined()
    let body = """
      <header>
      <p class="kicker">kernbench place</p>
      <h1>\(first.strategy.rawValue.escaped) on \(machineWords.escaped)</h1>
      <dl>\(facts.map { "<div class=\"wide-fact\"><dt>\($0.0)</dt><dd>\($0.1.escaped)</dd></div>" }.joined())</dl>
      <ul class="notes">\((notes + first.why).map { "<li>\($0.escaped)</li>" }.joined())</ul>
      </header>
      <section>
      <h2>Predicted time</h2>
      <p>Microseconds of one step through all layers, and the ratio to the strategy chosen.</p>
      <div class="scroll"><table>
      <thead><tr><th>strategy</th><th>\u{00B5}s</th><th>ratio</th><th>bytes on nodes</th><th></th></tr></thead>
      <tbody>\(rows)</tbody>
      </table></div>
      </section>
      <section>
      <h2>Experts</h2>
      <p>The first layer: a column an expert, a row a node or device; the height is the part that lies there, the strength how often it is used. \
      Point at a cell for its expert.</p>
      \(map)</section>

      """
    return HTMLPage.text(title: "kernbench place", body: body)
  }

  private var map: String {
    let shown = Array(places.prefix(Self.mostPlaces)), left = 92.0, width = 960.0, row = 26.0
    let cell = (width - left) / Double(sizes.experts), most = max(loads[0].max() ?? 0, 1e-9)
    var svg = SVG(width: width, height: row * Double(shown.count) + 22)
    for (index, place) in shown.enumerated() {
      let bottom = row * Double(index + 1)
      svg.text(place.name, left - 8, bottom - 8, "tick end")
      svg.line(left, bottom, width, bottom, "grid")
      for (expert, part) in place.parts.enumerated() where part > 0 {
        let height = max(3, (row - 5) * part)
        svg.block(
          left + cell * Double(expert), bottom - height, max(0.5, cell - min(1, cell / 4)), height,
          color: place.name.hasPrefix("node") ? "var(--c0)" : "var(--c1)", opacity: 0.25 + 0.75 * loads[0][expert] / most,
          title: "expert \(expert) on \(place.name): \(fixed(100 * part, 1))%, \(fixed(loads[0][expert], 3)) rows a token")
      }
    }
    svg.text("expert 0", left, row * Double(shown.count) + 16, "tick")
    svg.text("\(sizes.experts - 1)", width, row * Double(shown.count) + 16, "tick end")
    let more = places.count > shown.count ? "<p>\(places.count - shown.count) more are not drawn.</p>\n" : ""
    return svg.element(class: "map", label: "Experts over nodes and devices") + more
  }
}

/// "0-3,8" from ascending numbers.
private func ranges(_ numbers: [Int]) -> String {
  var text: [String] = [], start = numbers[0]
  for (number, next) in zip(numbers, numbers.dropFirst() + [-1]) where next != number + 1 {
    text.append(start == number ? "\(number)" : "\(start)-\(number)")
    start = next
  }
  return text.joined(separator: ",")
}
