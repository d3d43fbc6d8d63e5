// Aligned columns on standard output.

import Foundation

/// Columns of fixed width; the first ones aligned left, numbers right.
struct Table {
  struct Column {
    let title: String
    let width: Int
    var isText = false
  }
  let columns: [Column]

  var header: String { line(columns.map(\.title)) }

  /// One row; a text too long for its column is cut.
  func line(_ cells: [String]) -> String {
    var line = ""
    for (column, cell) in zip(columns, cells) {
      let text = cell.count > column.width ? String(cell.prefix(column.width - 1)) + "~" : cell
      let blanks = String(repeating: " ", count: column.width - text.count)
      line += (line.isEmpty ? "" : "  ") + (column.isText ? text + blanks : blanks + text)
    }
    while line.last == " " { line.removeLast() }
    return line
  }
}

/// "340.1 MiB".
func binary(_ bytes: Int) -> String {
  let units = ["B", "KiB", "MiB", "GiB", "TiB"]
  var value = Double(bytes), unit = 0
  while value >= 1024, unit + 1 < units.count { (value, unit) = (value / 1024, unit + 1) }
  return unit == 0 ? "\(bytes) B" : fixed(value, 1) + " " + units[unit]
}

/// `value` with this many decimals.
func fixed(_ value: Double, _ decimals: Int) -> String { String(format: "%.\(decimals)f", value) }
