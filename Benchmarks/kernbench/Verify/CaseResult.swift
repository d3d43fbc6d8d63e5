// The outcome of one conformance case.

import Foundation
import MoE

struct CaseResult {
  enum Status: String { case passed, failed, skipped }

  var name: String
  var status: Status
  /// Largest error found, relative to the largest reference value, and what is allowed.
  var error: Double?
  var bound: Double?
  var message = ""

  static func failed(_ name: String, _ message: String) -> CaseResult { CaseResult(name: name, status: .failed, message: message) }

  /// Passed when the error is a number within the bound.
  static func measured(_ name: String, error: Double, bound: Double, _ message: String = "") -> CaseResult {
    CaseResult(name: name, status: error <= bound ? .passed : .failed, error: error, bound: bound, message: message)
  }

  /// Passed when all bits agree.
  static func bits(_ name: String, _ found: [Float], _ expected: [Float]) -> CaseResult {
    guard found.count == expected.count else { return .failed(name, "\(found.count) values, expected \(expected.count)") }
    let wrong = found.indices.filter { found[$0].bitPattern != expected[$0].bitPattern && !(found[$0].isNaN && expected[$0].isNaN) }
    let message = wrong.first.map { "value \($0) is \(found[$0]), expected \(expected[$0]); \(wrong.count) differ" } ?? ""
    return .measured(name, error: Double(wrong.count), bound: 0, message)
  }

  var line: String {
    let numbers = error.map { String(format: "error %.2e  bound %.1e", $0, bound ?? 0) } ?? ""
    let padded = name.count < 40 ? name + String(repeating: " ", count: 40 - name.count) : name
    return "\(status.rawValue)  \(padded)  \(numbers)\(message.isEmpty ? "" : "  \(message)")"
  }

  var report: JSON {
    .object([
      "name": .string(name), "status": .string(status.rawValue), "error": error.map(JSON.number) ?? .null,
      "bound": bound.map(JSON.number) ?? .null, "message": .string(message),
    ])
  }
}

/// Largest distance relative to the largest reference value; NaN or a wrong count is infinite.
func relativeError(_ found: [Float], _ expected: [Float]) -> Double {
  guard found.count == expected.count else { return .infinity }
  var distance = 0.0, scale = 0.0
  for (a, b) in zip(found, expected) {
    guard a.isFinite, b.isFinite else { return .infinity }
    distance = max(distance, abs(Double(a) - Double(b)))
    scale = max(scale, abs(Double(b)))
  }
  return distance == 0 ? 0 : distance / max(scale, .leastNormalMagnitude)
}

/// Squared distance relative to the squared reference; NaN or a wrong count is infinite.
func normalizedSquaredError(_ found: [Float], _ expected: [Float]) -> Double {
  guard found.count == expected.count else { return .infinity }
  var distance = 0.0, scale = 0.0
  for (a, b) in zip(found, expected) {
    guard a.isFinite, b.isFinite else { return .infinity }
    distance += (Double(a) - Double(b)) * (Double(a) - Double(b))
    scale += Double(b) * Double(b)
  }
  return distance == 0 ? 0 : distance / max(scale, .leastNormalMagnitude)
}
