// How many of a node's experts one step uses: exact distributions, and the expected time of the slowest node.

/// For each count of a node's experts, how much of the probability it has.
struct UseCounts {
  /// Entry c is the weight of c experts in use.
  private(set) var weights: [Double] = [1]
  private let most: Int

  /// - Parameter most: counts above this are not kept.
  init(most: Int) { self.most = most }

  /// One more expert: in use with weight `yes`, not with `no`.
  mutating func add(yes: Double, no: Double) {
    if weights.count <= most { weights.append(0) }
    for count in stride(from: weights.count - 1, through: 0, by: -1) {
      weights[count] = weights[count] * no + (count > 0 ? weights[count - 1] * yes : 0)
    }
  }

  /// The product with another node's counts up to `limit` of that node.
  mutating func multiply(by other: UseCounts, upTo limit: Int) {
    var product = Array(repeating: 0.0, count: min(most, weights.count - 1 + min(limit, other.weights.count - 1)) + 1)
    for (left, weight) in weights.enumerated() {
      for right in 0...max(0, min(limit, other.weights.count - 1)) where left + right < product.count {
        product[left + right] += weight * other.weights[right]
      }
    }
    weights = product
  }

  subscript(count: Int) -> Double { count < weights.count ? weights[count] : 0 }
  var highest: Int { weights.count - 1 }
  func sum(upTo limit: Int) -> Double { weights.prefix(limit + 1).reduce(0, +) }
}

/// A node's experts in one step.
package struct NodeLoad {
  /// Chance of each of its experts to be used.
  package var chances: [Double]
  /// Mean seconds of one expert in use.
  package var seconds: Double

  package init(chances: [Double], seconds: Double) {
    self.chances = chances
    self.seconds = seconds
  }
}

/// The expected seconds of the slowest node.
///
/// - Parameter total: how many different experts a step uses: those of one token are exactly topK, drawn together (conditional Bernoulli draws,
///   which for equal chances are the hypergeometric ones); nil when each expert is used or not by itself.
package func expectedMaximum(_ nodes: [NodeLoad], total: Int?) -> Double {
  let counts = nodes.map { node in
    var counts = UseCounts(most: total ?? node.chances.count)
    for chance in node.chances {
      let chance = min(max(chance, 1e-9), 1 - 1e-6)
      if total == nil { counts.add(yes: chance, no: 1 - chance) } else { counts.add(yes: chance / (1 - chance), no: 1) }
    }
    return counts
  }
  let steps = Set(zip(counts, nodes).flatMap { counts, node in (0...counts.highest).map { Double($0) * node.seconds } }).sorted()
  var expected = 0.0
  var all = 1.0
  if let total {
    var product = UseCounts(most: total)
    for count in counts { product.multiply(by: count, upTo: total) }
    all = product[total]
  }
  for (step, next) in zip(steps, steps.dropFirst()) {
    let limits = nodes.map { $0.seconds > 0 ? Int(min(step / $0.seconds * (1 + 1e-12), 0x1p32)) : .max }
    var below = 1.0
    if let total {
      var product = UseCounts(most: total)
      for (count, limit) in zip(counts, limits) { product.multiply(by: count, upTo: min(limit, total)) }
      below = product[total] / all
    } else {
      for (count, limit) in zip(counts, limits) { below *= count.sum(upTo: min(limit, count.highest)) }
    }
    expected += (next - step) * (1 - min(1, below))
    if below >= 1 - 1e-15 { break }
  }
  return expected
}
