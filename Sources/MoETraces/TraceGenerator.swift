// Makes traces from a preset and a seed; the same seed gives the same trace.

#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

extension RoutingTrace {
  /// A trace of `preset`.
  ///
  /// - Parameters:
  ///   - experts: instead of the preset's.
  ///   - topK: instead of the preset's.
  ///   - scores: experts of which the scores are kept for a token in a layer, topK at least; 0 for none.
  /// - Throws: `TraceError`.
  public init(
    _ preset: TracePreset, experts: Int? = nil, topK: Int? = nil, layers: Int = 4, sequences: Int = 24, tokens: Int = 512, scores scored: Int = 0, seed: UInt64 = 1
  ) throws(TraceError) {
    let experts = experts ?? preset.experts, topK = topK ?? preset.topK
    try Self.check(layers: layers, experts: experts, topK: topK)
    guard scored == 0 || topK...experts ~= scored else { throw .limit("scores of a choice", scored) }
    guard 0...Self.limits.sequences ~= sequences else { throw .limit("sequences", sequences) }
    let (choices, overflow) = (layers * topK * max(1, sequences)).multipliedReportingOverflow(by: tokens)
    guard tokens >= 0, !overflow, choices <= Self.limits.choices else { throw .limit("tokens a sequence", tokens) }
    guard preset.phase ?? 1 > 0 else { throw .parameters("a phase of \(preset.phase!) tokens") }
    if case .sticky(let stay) = preset.law, !(0...1 ~= stay) { throw .parameters("stay \(stay)") }
    var made: [Sequence] = []
    if case .gaussian(let shares) = preset.law {
      try shares.check()
      var scores = GaussianScores(shares, experts: experts, layers: layers, seed: seed)
      for id in 0..<sequences {
        var ids: [UInt16] = [], weights: [Float] = [], scoredIDs: [UInt16] = [], kept: [Float] = []
        scores.beginSequence()
        for token in 0..<tokens {
          if token > 0, let phase = preset.phase, token % phase == 0 { scores.changeSubject() }
          scores.step()
          for layer in 0..<layers {
            let values = scores.values(layer), all = highest(values, max(topK, scored)), top = all.prefix(topK)
            ids += top.map(UInt16.init)
            weights += softmax(top.map { values[$0] * shares.scale })
            scoredIDs += all.prefix(scored).map(UInt16.init)
            kept += all.prefix(scored).map { Float(values[$0]) }
          }
        }
        made.append(Sequence(id: UInt32(id), domain: UInt32(id), experts: ids, weights: weights, scored: scoredIDs, scores: kept))
      }
    } else {
      guard scored == 0 else { throw .parameters("\(preset.name) has no scores") }
      var random = NormalNumbers(seed: seed)
      for id in 0..<sequences {
        let ids = simple(preset.law, experts, topK, layers, tokens, &random)
        made.append(Sequence(id: UInt32(id), domain: 0, experts: ids, weights: Array(repeating: 1 / Float(topK), count: ids.count)))
      }
    }
    let phase = preset.phase.map { ", another subject every \($0) tokens" } ?? ""
    try self.init(
      layers: layers, experts: experts, topK: topK, scoresPerChoice: scored, parameters: "\(preset.name): \(preset.law)\(phase), seed \(seed)", sequences: made)
  }
}

/// Scores of experts: sqrt(g) G + sqrt(d) D + sqrt(s) X + sqrt(n) N, each of unit variance.
private struct GaussianScores {
  private let shares: GaussianShares
  private let experts: Int
  private let layers: Int
  private var random: NormalNumbers
  private let global: [Float]
  private let pathOf: [Int]
  private var subject: [Float] = [], slow: [Float] = [], paths: [Float] = []

  init(_ shares: GaussianShares, experts: Int, layers: Int, seed: UInt64) {
    (self.shares, self.experts, self.layers) = (shares, experts, layers)
    var random = NormalNumbers(seed: seed)
    global = random.normal(experts * layers, deviation: 1)
    pathOf = (0..<experts * layers).map { _ in Int(random.bits() % UInt64(4 * experts)) }
    self.random = random
  }

  mutating func beginSequence() {
    changeSubject()
    slow = random.normal(experts * layers, deviation: 1)
    paths = shares.paths > 0 ? random.normal(4 * experts, deviation: 1) : []
  }

  mutating func changeSubject() { subject = random.normal(experts * layers, deviation: 1) }

  /// The next token.
  mutating func step() {
    let memory = Float(shares.memory), deviation = (1 - shares.memory * shares.memory).squareRoot()
    let news = random.normal(experts * layers, deviation: deviation)
    for index in slow.indices { slow[index] = memory * slow[index] + news[index] }
    let pathNews = random.normal(paths.count, deviation: deviation)
    for index in paths.indices { paths[index] = memory * paths[index] + pathNews[index] }
  }

  mutating func values(_ layer: Int) -> [Double] {
    let rest = max(0, 1 - shares.global - shares.sequence - shares.short), noise = random.normal(experts, deviation: rest.squareRoot())
    return (0..<experts).map { expert in
      let index = layer * experts + expert
      var slow = Double(slow[index])
      if !paths.isEmpty { slow = shares.paths.squareRoot() * Double(paths[pathOf[index]]) + (1 - shares.paths).squareRoot() * slow }
      return shares.global.squareRoot() * Double(global[index]) + shares.sequence.squareRoot() * Double(subject[index])
        + shares.short.squareRoot() * slow + Double(noise[expert])
    }
  }
}

/// Choices that need no scores, by token, layer and rank.
private func simple(
  _ law: TracePreset.Law, _ experts: Int, _ topK: Int, _ layers: Int, _ tokens: Int, _ random: inout NormalNumbers
) -> [UInt16] {
  var ids: [UInt16] = []
  var current = (0..<layers).map { _ in Array(0..<topK) }
  for token in 0..<tokens {
    for layer in 0..<layers {
      switch law {
      case .gaussian, .constant: break
      case .cyclic: current[layer] = (0..<topK).map { (token * topK + $0) % experts }
      case .sticky(let stay):
        for slot in 0..<topK where token == 0 || random.uniform() >= stay {
          repeat { current[layer][slot] = Int(random.bits() % UInt64(experts)) } while current[layer][..<slot].contains(current[layer][slot])
            || current[layer][(slot + 1)...].contains(current[layer][slot])
        }
      }
      ids += current[layer].map(UInt16.init)
    }
  }
  return ids
}

/// The places of the `count` highest values, highest first, ties to the lower place.
private func highest(_ values: [Double], _ count: Int) -> [Int] {
  var top: [Int] = []
  for place in values.indices {
    if top.count == count, values[place] <= values[top[count - 1]] { continue }
    top.insert(place, at: top.firstIndex { values[$0] < values[place] } ?? top.count)
    if top.count > count { top.removeLast() }
  }
  return top
}

private func softmax(_ values: [Double]) -> [Float] {
  let powers = values.map { exp($0 - values[0]) }, sum = powers.reduce(0, +)
  return powers.map { Float($0 / sum) }
}
