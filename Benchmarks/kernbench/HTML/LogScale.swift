// Logarithmic axes of plots.

import Foundation

/// Values of an axis in place along it.
struct LogScale {
  let low: Double
  let high: Double
  /// Where `low` and `high` are drawn.
  let from: Double
  let to: Double

  /// An axis around these values, which are above 0, with a margin at both ends.
  init(_ values: [Double], margin: Double = 1.6, from: Double, to: Double) {
    let usable = values.filter { $0 > 0 && $0.isFinite }
    low = (usable.min() ?? 1) / margin
    high = (usable.max() ?? 10) * margin
    (self.from, self.to) = (from, to)
  }

  func callAsFunction(_ value: Double) -> Double { from + (to - from) * log(value / low) / log(high / low) }

  /// Length drawn of a factor of ten, negative on an axis that goes up.
  var decade: Double { (to - from) / log10(high / low) }

  /// Powers of ten, and their multiples where there are few.
  var ticks: [Double] {
    let decades = log10(high / low)
    let factors: [Double] = decades < 1.2 ? [1, 2, 3, 5, 7] : decades < 2.5 ? [1, 2, 5] : [1]
    return (Int(log10(low).rounded(.down))...Int(log10(high).rounded(.up))).flatMap { exponent in factors.map { $0 * pow(10, Double(exponent)) } }
      .filter { $0 >= low && $0 <= high }
  }

  /// "0.05", "20", "3k", "1M".
  static func label(_ value: Double) -> String {
    let (scaled, unit) = value >= 999_999 ? (value / 1e6, "M") : value >= 999.9 ? (value / 1e3, "k") : (value, "")
    return String(format: "%.3g", scaled) + unit
  }
}

/// Elements of an SVG picture as text; attribute values are numbers and class names, texts are escaped here.
struct SVG {
  let width: Double
  let height: Double
  private var body = ""

  init(width: Double, height: Double) { (self.width, self.height) = (width, height) }

  /// - Parameter label: what the picture shows, for those who do not see it.
  func element(class name: String, label: String) -> String {
    "<svg class=\"\(name)\" viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" role=\"img\" aria-label=\"\(label.escaped)\">\(body)</svg>\n"
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ name: String) {
    body += "<line class=\"\(name)\" x1=\"\(Self.number(x1))\" y1=\"\(Self.number(y1))\" x2=\"\(Self.number(x2))\" y2=\"\(Self.number(y2))\"/>"
  }

  mutating func path(_ points: [(x: Double, y: Double)], _ name: String, color: String) {
    let steps = points.enumerated().map { "\($0 == 0 ? "M" : "L")\(Self.number($1.x)) \(Self.number($1.y))" }.joined()
    body += "<path class=\"\(name)\" style=\"stroke:\(color)\" d=\"\(steps)\"/>"
  }

  /// - Parameter turned: degrees, clockwise around the place.
  mutating func text(_ text: String, _ x: Double, _ y: Double, _ name: String, turned: Double = 0) {
    let turn = turned == 0 ? "" : " transform=\"rotate(\(Self.number(turned)) \(Self.number(x)) \(Self.number(y)))\""
    body += "<text class=\"\(name)\" x=\"\(Self.number(x))\" y=\"\(Self.number(y))\"\(turn)>\(text.escaped)</text>"
  }

  /// A disc, or a diamond for rounded activations.
  mutating func mark(_ x: Double, _ y: Double, isRounded: Bool, color: String, title: String) {
    let shape = isRounded
      ? "<path d=\"M\(Self.number(x)) \(Self.number(y - 6))l6 6l-6 6l-6 -6z\""
      : "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"4.5\""
    body += shape + " class=\"mark\" style=\"fill:\(color)\"><title>\(title.escaped)</title></\(isRounded ? "path" : "circle")>"
  }

  mutating func block(_ x: Double, _ y: Double, _ width: Double, _ height: Double, color: String, opacity: Double, title: String) {
    body += "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(width))\" height=\"\(Self.number(height))\" "
      + "style=\"fill:\(color);fill-opacity:\(String(format: "%.2f", opacity))\"><title>\(title.escaped)</title></rect>"
  }

  /// Grid lines and numbers of both axes, and their names.
  mutating func axes(
    _ x: LogScale, _ y: LogScale, xTicks: [Double]? = nil, xName: String, yName: String
  ) {
    var last = -Double.infinity
    for tick in xTicks ?? x.ticks {
      line(x(tick), y.from, x(tick), y.to, "grid")
      let label = LogScale.label(tick), wide = 7 * Double(label.count)
      guard x(tick) - wide / 2 > last + 4 else { continue }
      last = x(tick) + wide / 2
      text(label, x(tick), y.from + 16, "tick mid")
    }
    for tick in y.ticks {
      line(x.from, y(tick), x.to, y(tick), "grid")
      text(LogScale.label(tick), x.from - 6, y(tick) + 4, "tick end")
    }
    line(x.from, y.from, x.to, y.from, "axis")
    line(x.from, y.from, x.from, y.to, "axis")
    text(xName, (x.from + x.to) / 2, y.from + 33, "name mid")
    text(yName, x.from, y.to - 8, "name")
  }

  private static func number(_ value: Double) -> String {
    let text = String(format: "%.1f", value.isFinite ? value : 0)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}

extension String {
  /// As text or attribute of HTML and SVG.
  var escaped: String {
    var result = ""
    for character in unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "'": result += "&#39;"
      // Control characters have no place in HTML.
      case _ where character.value < 32 && character != "\n" && character != "\t" || character.value == 127: result += "\u{FFFD}"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
