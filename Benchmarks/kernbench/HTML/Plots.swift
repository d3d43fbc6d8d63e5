// The plots of a report: rows under the machine's roofline, and time against tokens.

import Foundation
import MoE

/// A colour for every format, in order of appearance.
struct FormatColors {
  let names: [String]

  init(_ rows: [Row]) {
    var names: [String] = []
    for row in rows where !names.contains(row.format) { names.append(row.format) }
    self.names = names
  }

  /// Colours of the style sheet as far as they go, then hues far from one another.
  subscript(format: String) -> String {
    let index = names.firstIndex(of: format) ?? 0
    return index < 8 ? "var(--c\(index))" : "hsl(\(index * 137 % 360) 55% 50%)"
  }

  /// Formats and the two shapes of marks.
  func legend(_ rows: [Row]) -> String {
    var text = "<ul class=\"legend\">"
    for name in names { text += "<li><i style=\"background:\(self[name])\"></i>\(name.escaped)</li>" }
    if rows.contains(where: { $0.activations == .float }) { text += "<li><i class=\"disc\"></i>float activations</li>" }
    let rounded = ActivationPrecision.allCases.filter { precision in precision != .float && rows.contains { $0.activations == precision } }
    if !rounded.isEmpty { text += "<li><i class=\"diamond\"></i>\(rounded.map(\.rawValue).joined(separator: ", ")) activations</li>" }
    return text + "</ul>\n"
  }
}

/// Arithmetic intensity against GFLOP/s, under the slope of memory and the ceilings of arithmetic.
struct RooflinePlot {
  let peaks: Peaks
  let rows: [Row]
  let colors: FormatColors

  private struct Ceiling {
    let name: String
    let gflops: Double
  }

  func picture(width: Double, height: Double, name: String) -> String {
    let points = rows.compactMap { row in row.times.map { (row: row, times: $0, intensity: $0.gflops / $0.weightGBps) } }
    var ceilings = [Ceiling(name: "f32 multiply-add", gflops: peaks.fmaGflops)]
    if let int8 = peaks.int8Gops { ceilings.append(Ceiling(name: "int8, 16-bit", gflops: int8)) }
    if let wide = peaks.int8WideGops { ceilings.append(Ceiling(name: "int8, 32-bit", gflops: wide)) }
    if let bf16 = peaks.bf16Gflops { ceilings.append(Ceiling(name: "bf16", gflops: bf16)) }
    let highest = ceilings.map(\.gflops).max() ?? peaks.fmaGflops

    let x = LogScale(
      points.map(\.intensity) + [peaks.fmaGflops / peaks.readGBps, 2 * highest / peaks.readGBps], from: 42, to: width - 10)
    let y = LogScale(points.map(\.times.gflops) + [highest, x.low * peaks.readGBps * 1.6], from: height - 40, to: 24)
    var svg = SVG(width: width, height: height)
    svg.axes(x, y, xName: "operations a byte of weights", yName: "GFLOP/s")

    let top = min(x.high, highest / peaks.readGBps), start = max(x.low, y.low / peaks.readGBps)
    svg.line(x(start), y(start * peaks.readGBps), x(top), y(top * peaks.readGBps), "roof")
    let angle = -atan2(-y.decade, x.decade) * 180 / .pi
    let middle = (start * top).squareRoot()
    // Above the line, at right angles to it.
    let lift = 8.0, turn = angle * .pi / 180
    svg.text(
      "memory \(fixed(peaks.readGBps, 1)) GB/s", x(middle) + lift * sin(turn), y(middle * peaks.readGBps) - lift * cos(turn), "label mid",
      turned: angle)
    for ceiling in ceilings {
      let ridge = x(ceiling.gflops / peaks.readGBps), label = "\(ceiling.name) \(LogScale.label(ceiling.gflops))"
      svg.line(ridge, y(ceiling.gflops), x.to, y(ceiling.gflops), "roof")
      // Below the line next to its ridge: rows come there last, and the slope not at all.
      let fits = ridge + 10 + 7 * Double(label.count) < x.to
      svg.text(label, fits ? ridge + 10 : x.to - 2, y(ceiling.gflops) + 15, fits ? "label" : "label end")
    }
    for point in points {
      svg.mark(
        x(point.intensity), y(point.times.gflops), isRounded: point.row.activations != .float, color: colors[point.row.format],
        title: "\(point.row.title): \(fixed(point.times.gflops, 1)) GFLOP/s, \(point.times.roofline.map { fixed(100 * $0, 0) } ?? "-")% of the roofline")
    }
    return svg.element(class: name, label: "Roofline: GFLOP/s against operations a byte of weights")
  }
}

/// Time against tokens of one layer, a line for each format and precision.
struct TokensPlot {
  let layer: String
  let rows: [Row]
  let colors: FormatColors

  var picture: String {
    let rows = rows.filter { $0.layer == layer }, times = rows.compactMap { $0.times?.medianMs }
    guard !times.isEmpty else { return "" }
    let tokens = Set(rows.map(\.tokens)).sorted()
    let x = LogScale(tokens.map(Double.init), margin: 1.3, from: 42, to: 350), y = LogScale(times, margin: 1.4, from: 210, to: 24)
    var svg = SVG(width: 360, height: 250)
    svg.axes(x, y, xTicks: tokens.map(Double.init), xName: "tokens a call", yName: "ms")
    for format in colors.names {
      for precision in ActivationPrecision.allCases {
        let line = rows.filter { $0.format == format && $0.activations == precision && $0.times != nil }.sorted { $0.tokens < $1.tokens }
        let places = line.map { (x: x(Double($0.tokens)), y: y($0.times!.medianMs)) }
        if line.count > 1 { svg.path(places, precision == .float ? "series" : "series dashed", color: colors[format]) }
        for (row, place) in zip(line, places) {
          svg.mark(
            place.x, place.y, isRounded: precision != .float, color: colors[format], title: "\(row.title): \(HTMLReport.time(row.times!.medianMs)) ms")
        }
      }
    }
    return "<figure><figcaption>\(shortLayerName(layer).escaped)</figcaption>\(svg.element(class: "panel", label: "Time against tokens, \(layer)"))</figure>\n"
  }
}

extension Row {
  /// The cell in words, for titles.
  var title: String { "\(shortLayer), \(format), \(activations.rawValue), \(tokens) token\(tokens == 1 ? "" : "s")" }
}
