// Selected experts before norm and scale, and the two passes that need the whole batch: capacity and weights.

/// Ragged selections of all tokens with their unnormalised weights.
struct Choices {
  var output: RouterOutput
  /// Best score of each token; filled only where capacity serves best tokens first.
  var bestScores: [Float] = []
  /// Norm over all experts of each token; filled only for `Norm.Over.all`.
  var fullNorms: [Double] = []
  /// False for an assignment that found its expert full; nil when there is no capacity.
  var kept: [Bool]?

  /// Marks the assignments beyond an expert's capacity. A dropped assignment still counts in the queue.
  mutating func drop(beyond capacity: RouterConfiguration.Capacity, _ configuration: RouterConfiguration, sequences: [Int]) {
    let limit =
      switch capacity.limit {
      case .assignments(let n): n
      case .fraction(let f): Int((min(f, 1) * Double(output.tokens)).rounded(.up))
      case .twiceEvenShare: 2 * ((output.tokens + configuration.experts - 1) / configuration.experts)
      }
    var kept = [Bool](repeating: false, count: output.count)
    var queue = [Int](repeating: 0, count: configuration.experts)
    func admit(_ assignment: Int) {
      let expert = Int(output.expertIDs[assignment])
      kept[assignment] = queue[expert] < limit
      queue[expert] += 1
    }
    var first = 0
    for length in capacity.perSequence ? sequences : [output.tokens] {
      for expert in queue.indices { queue[expert] = 0 }
      var tokens = Array(first..<first + length)
      if capacity.bestTokensFirst { tokens.sort { (-bestScores[$0], $0) < (-bestScores[$1], $1) } }
      switch capacity.order {
      case .tokenMajor:
        for token in tokens { for assignment in output.offsets[token]..<output.offsets[token + 1] { admit(assignment) } }
      case .rankMajor:
        let ranks = tokens.map { output.offsets[$0 + 1] - output.offsets[$0] }.max() ?? 0
        for rank in 0..<ranks {
          for token in tokens where output.offsets[token] + rank < output.offsets[token + 1] { admit(output.offsets[token] + rank) }
        }
      }
      first += length
    }
    self.kept = kept
  }

  /// Norm and scale, dropped assignments left out.
  func weighted(by configuration: RouterConfiguration) -> RouterOutput {
    guard kept != nil || configuration.norm != nil || configuration.scale != 1 else { return output }
    var result = RouterOutput(experts: output.experts, reserving: output.tokens, each: 0)
    result.nonFiniteTokens = output.nonFiniteTokens
    let normBeforeDropping = configuration.capacity?.normBeforeDropping ?? false
    for token in 0..<output.tokens {
      let all = output.offsets[token]..<output.offsets[token + 1]
      let served = all.filter { kept?[$0] ?? true }
      var divisor = 1.0
      if let norm = configuration.norm {
        let sum =
          switch norm.over {
          case .all: fullNorms[token]
          case .selected: norm.of((normBeforeDropping ? Array(all) : served).lazy.map { output.weights[$0] })
          }
        divisor = max(sum, norm.minimum) + norm.epsilon
      }
      result.append(
        served.lazy.map { output.expertIDs[$0] },
        weights: served.lazy.map {
          let weight = Double(output.weights[$0])
          return weight == 0 ? 0 : Float(weight / divisor * Double(configuration.scale))
        })
      result.droppedAssignments += all.count - served.count
    }
    return result
  }
}

extension RouterConfiguration.Norm {
  func of(_ weights: some Sequence<Float>) -> Double {
    switch p {
    case 1: weights.reduce(0) { $0 + abs(Double($1)) }
    case 2: weights.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    default: power(weights.reduce(0) { $0 + power(abs(Double($1)), p) }, 1 / p)
    }
  }
}
