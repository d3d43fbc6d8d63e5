// Formats and sizes of one MoE layer of a checkpoint.

import MoE

/// Formats and sizes of one layer's experts, shared expert and projections.
struct LayerSummary {
  let block: MoEBlock
  /// Of gate, up and down; "-" without a gate.
  let formats: [String]
  /// Of the routed experts, scales included.
  let bitsPerWeight: Double
  let fileBytes: Int
  let residentBytes: Int

  /// Packs the layer as a run would, and lets it go again.
  init(_ model: MoEModel, _ block: MoEBlock, names: [String]) throws {
    let weights = try model.weights(of: block)
    self.block = block
    func format(_ matrix: (Expert) -> PackedMatrix?) -> String {
      let found = Set(weights.experts.experts.compactMap { matrix($0)?.format.name })
      return found.isEmpty ? "-" : found.sorted().joined(separator: "+")
    }
    formats = [format(\.gate), format(\.up), format(\.down)]
    let matrices = weights.experts.experts.flatMap { [$0.gate, $0.up, $0.down].compactMap { $0 } }
    let values = matrices.reduce(0) { $0 + $1.rows * $1.columns }, bytes = matrices.reduce(0) { $0 + $1.residentBytes }
    bitsPerWeight = 8 * Double(bytes) / Double(max(1, values))
    residentBytes = weights.residentBytes(in: nil)
    let published = try model.names(of: block)
    let bases = Array(published.experts.values) + Array(published.shared.values) + [published.latentIn, published.latentOut].compactMap { $0 }
    let patterns = Set(bases).map { NamePattern($0) }
    fileBytes = try names.filter { name in patterns.contains { $0.matches(name) } }.reduce(0) {
      try $0 + (model.checkpoint.tensors.tensor($1)?.bytes.count ?? 0)
    }
  }
}

/// The name of a linear layer, `{expert}` standing for any number, or of a tensor that belongs to it.
private struct NamePattern {
  let before: String
  let after: String?

  init(_ base: String) {
    guard let hole = base.firstRange(of: "{expert}") else {
      (before, after) = (base, nil)
      return
    }
    (before, after) = (String(base[..<hole.lowerBound]), String(base[hole.upperBound...]))
  }

  func matches(_ name: String) -> Bool {
    guard name.hasPrefix(before) else { return false }
    var rest = name.dropFirst(before.count)
    if let after {
      rest = rest.drop { $0.isNumber }
      guard rest.hasPrefix(after) else { return false }
      rest = rest.dropFirst(after.count)
    }
    return rest.isEmpty || rest.first == "." || rest.first == "_"
  }
}
