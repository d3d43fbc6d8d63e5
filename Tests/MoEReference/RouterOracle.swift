// Routing as its definitions read: naive, double precision, whole sorts; scores are rounded to f32 once, as the models do.

internal import Foundation

/// One token's router, independent of the package.
public struct RouterOracle: Sendable {
  public enum Score: Sendable { case softmax, sigmoid, sqrtSoftplus, identity }
  public enum Weight: Sendable { case score, softmaxOfSelected, sigmoidOfSelected, one }
  public enum Selection: Sendable {
    case topK(Int)
    case topP(Float)
    case topOfEachGroup(Int)
    case sparseMixer(Float)
    case all
  }
  public struct Groups: Sendable {
    public var count: Int, kept: Int, topTwoSum: Bool, fill: Float
    public init(count: Int, kept: Int, topTwoSum: Bool, fill: Float) {
      (self.count, self.kept, self.topTwoSum, self.fill) = (count, kept, topTwoSum, fill)
    }
  }
  public struct Norm: Sendable {
    public var p: Double, epsilon: Double, minimum: Double, overAll: Bool
    public init(p: Double = 1, epsilon: Double = 0, minimum: Double = 0, overAll: Bool = false) {
      (self.p, self.epsilon, self.minimum, self.overAll) = (p, epsilon, minimum, overAll)
    }
  }

  public var score: Score
  public var selection: Selection
  public var weight = Weight.score
  public var groups: Groups?
  public var norm: Norm?
  public var scale: Double = 1
  public var choiceBias: [Float]?
  /// True: NaN counts as -inf and +inf takes all; false: such a token has NaN weights.
  public var sanitizes = false

  public init(_ score: Score, _ selection: Selection) {
    self.score = score
    self.selection = selection
  }

  /// Experts of one token, best first, with their weights.
  public func route(_ logits: [Float]) -> [(expert: Int, weight: Double)] {
    guard let row = settled(logits) else { return lost(logits) }
    if case .sparseMixer(let epsilon) = selection { return sparse(row, Double(epsilon)) }
    var scores = scored(row)
    let sum = norm.map { total(scores.map(Double.init), $0) } ?? 0
    var choice = scores
    for expert in row.indices { choice[expert] += choiceBias?[expert] ?? 0 }
    if let groups {
      for group in removed(groups, choice) {
        for expert in members(of: group, groups.count, row.count) {
          choice[expert] = groups.fill
          if groups.fill == 0 { scores[expert] = 0 }
        }
      }
    }
    for expert in row.indices where row[expert] == -.infinity { choice[expert] = -.infinity }
    let chosen = selected(choice, scores)
    var weights: [Double]
    switch weight {
    case .score: weights = chosen.map { Double(scores[$0]) }
    case .one: weights = chosen.map { _ in 1 }
    case .softmaxOfSelected: weights = softmax(chosen.map { Double(row[$0]) })
    case .sigmoidOfSelected: weights = chosen.map { sigmoid(Double(row[$0])) }
    }
    if let norm {
      let divisor = max(norm.overAll ? sum : total(weights, norm), norm.minimum) + norm.epsilon
      weights = weights.map { $0 == 0 ? 0 : $0 / divisor }
    }
    return Array(zip(chosen, weights.map { $0 * scale }))
  }

  /// The row as the policy leaves it; nil when its weights are NaN.
  private func settled(_ logits: [Float]) -> [Float]? {
    guard logits.contains(where: { $0.isNaN || $0 == .infinity }) else { return logits }
    guard sanitizes else { return nil }
    if logits.contains(.infinity), score != .sigmoid { return logits.map { $0 == .infinity ? 1e30 : -.infinity } }
    return logits.map { $0.isNaN ? -.infinity : $0 }
  }

  /// NaN weights for experts in order of their logits, NaN last.
  private func lost(_ logits: [Float]) -> [(expert: Int, weight: Double)] {
    let ids: [Int]
    switch selection {
    case .topOfEachGroup(let groups): ids = (0..<groups).map { $0 * (logits.count / groups) }
    default:
      let numbers = logits.indices.filter { !logits[$0].isNaN }.sorted { (logits[$1], $0) < (logits[$0], $1) }
      let order = numbers + logits.indices.filter { logits[$0].isNaN }
      let count =
        switch selection {
        case .topK(let k): k
        case .topP: 1
        case .sparseMixer: 2
        default: logits.count
        }
      ids = Array(order.prefix(count))
    }
    return ids.map { ($0, .nan) }
  }

  private func scored(_ row: [Float]) -> [Float] {
    if case .topOfEachGroup(let groups) = selection, score == .softmax {
      return (0..<groups).flatMap { group in softmax(members(of: group, groups, row.count).map { Double(row[$0]) }).map { Float($0) } }
    }
    switch score {
    case .softmax: return softmax(row.map(Double.init)).map { Float($0) }
    case .sigmoid: return row.map { Float(sigmoid(Double($0))) }
    case .sqrtSoftplus: return row.map { Float((max(Double($0), 0) + log1p(exp(-abs(Double($0))))).squareRoot()) }
    case .identity: return row
    }
  }

  private func selected(_ choice: [Float], _ scores: [Float]) -> [Int] {
    let order = ranked(choice)
    switch selection {
    case .topK(let k): return Array(order.prefix(k))
    case .topP(let threshold):
      var sum = 0.0, chosen: [Int] = []
      for expert in order where sum <= Double(threshold) {
        chosen.append(expert)
        sum += Double(scores[expert])
      }
      return chosen
    case .topOfEachGroup(let groups):
      return (0..<groups).compactMap { group in order.first { members(of: group, groups, choice.count).contains($0) } }
    case .all, .sparseMixer: return order
    }
  }

  private func removed(_ groups: Groups, _ choice: [Float]) -> [Int] {
    let scores = (0..<groups.count).map { group -> Float in
      let best = members(of: group, groups.count, choice.count).map { choice[$0] }.filter { !$0.isNaN }.sorted(by: >)
      guard groups.topTwoSum else { return best.first ?? -.infinity }
      return best.count < 2 ? -.infinity : best[0] + best[1]
    }
    let kept = ranked(scores).prefix(groups.kept)
    return (0..<groups.count).filter { !kept.contains($0) }
  }

  /// Two rounds of argmax; the threshold is relative to the original logits.
  private func sparse(_ row: [Float], _ epsilon: Double) -> [(expert: Int, weight: Double)] {
    var left = ranked(row), found: [(expert: Int, weight: Double)] = []
    for _ in 0..<2 {
      guard let best = left.first else { break }
      let m = Double(row[best])
      let inside = left.filter { !((m - Double(row[$0])) / max(abs(Double(row[$0])), m) > 2 * epsilon) }
      found.append((best, 1 / inside.reduce(0) { $0 + exp(Double(row[$1]) - m) }))
      left.removeFirst()
    }
    return found.map { ($0.expert, $0.weight * scale) }
  }

  private func members(of group: Int, _ groups: Int, _ experts: Int) -> Range<Int> {
    group * (experts / groups)..<(group + 1) * (experts / groups)
  }

  private func total(_ weights: [Double], _ norm: Norm) -> Double {
    pow(weights.reduce(0) { $0 + pow(abs($1), norm.p) }, 1 / norm.p)
  }
}

/// Indices of numbers above -inf, descending, ties to the lower index.
func ranked(_ values: [Float]) -> [Int] {
  values.indices.filter { values[$0] > -.infinity }.sorted { (values[$1], $0) < (values[$0], $1) }
}

func softmax(_ values: [Double]) -> [Double] {
  let largest = values.max() ?? 0
  let powers = values.map { exp($0 - largest) }, sum = powers.reduce(0, +)
  return powers.map { $0 / sum }
}

func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }

/// Which assignments find their expert below its capacity.
///
/// `experts[t]` are the experts of token t by rank; the result has the same shape.
public func withinCapacity(_ experts: [[Int]], limit: Int, rankMajor: Bool, order: [Int]? = nil) -> [[Bool]] {
  var kept = experts.map { $0.map { _ in false } }, queue: [Int: Int] = [:]
  let tokens = order ?? Array(experts.indices)
  func admit(_ token: Int, _ rank: Int) {
    let expert = experts[token][rank]
    kept[token][rank] = queue[expert, default: 0] < limit
    queue[expert, default: 0] += 1
  }
  if rankMajor {
    for rank in 0..<(experts.map(\.count).max() ?? 0) { for token in tokens where rank < experts[token].count { admit(token, rank) } }
  } else {
    for token in tokens { for rank in experts[token].indices { admit(token, rank) } }
  }
  return kept
}

/// The tokens that every expert takes in expert choice, best first: the `capacity` largest softmax scores of its column.
public func expertChoice(_ logits: [[Float]], capacity: Int) -> [[(token: Int, weight: Double)]] {
  let scores = logits.map { softmax($0.map(Double.init)) }
  return (logits.first ?? []).indices.map { expert in
    ranked(scores.map { Float($0[expert]) }).prefix(capacity).map { ($0, scores[$0][expert]) }
  }
}

/// The k best sums of one score of each half, with the softmax over them.
public func productKeys(_ first: [Float], _ second: [Float], k: Int) -> [(expert: Int, weight: Double)] {
  let sums = first.flatMap { a in second.map { a + $0 } }
  let chosen = Array(ranked(sums).prefix(k))
  return Array(zip(chosen, softmax(chosen.map { Double(sums[$0]) })))
}
