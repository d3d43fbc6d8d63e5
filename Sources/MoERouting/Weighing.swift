// From the selections of a batch to a router's output: capacity, norm and scale.

internal import MoETensors

extension Router {
  /// Turns the selections of every token into `output`, whose memory is used again.
  ///
  /// - Throws: `RoutingError.shape` for sequences that are not the tokens, `.nonFiniteLogit` when the configuration asks for it.
  package func weigh(_ choices: Choices, sequenceLengths: [Int]?, into output: inout RouterOutput) throws(RoutingError) {
    let tokens = choices.tokens
    if let sequenceLengths, sequenceLengths.contains(where: { !(0...tokens).contains($0) }) || sequenceLengths.reduce(0, &+) != tokens {
      throw .shape("sequences of \(sequenceLengths) tokens for \(tokens) tokens")
    }
    output.removeAll(experts: configuration.experts)
    for token in 0..<tokens where choices.nonFinite[token] >= 0 {
      if configuration.nonFinite == .throwError {
        let score = Int(choices.nonFinite[token])
        throw .nonFiniteLogit(token: token, expert: score, value: choices.logits[logitIndex(token, score, tokens: tokens)])
      }
      output.nonFiniteTokens += 1
    }
    if case .expertChoice(let factor) = configuration.selection { chooseTokens(factor: factor, choices) }
    if let capacity = configuration.capacity {
      choices.drop(beyond: capacity, experts: configuration.experts, sequences: capacity.perSequence ? sequenceLengths : nil)
    }
    for token in 0..<tokens { append(token, of: choices, to: &output) }
  }

  /// Norm and scale of one token, dropped assignments left out.
  private func append(_ token: Int, of choices: Choices, to output: inout RouterOutput) {
    let first = token * choices.most, all = Int(choices.counts[token])
    let ids = choices.ids + first, weights = choices.weights + first
    var divisor = 1.0, served = all
    if let norm = configuration.norm, norm.over == .selected, configuration.capacity?.normBeforeDropping == true {
      divisor = norm.divisor(norm.of(UnsafeBufferPointer(start: weights, count: all)))
    }
    if configuration.capacity != nil {
      served = 0
      for rank in 0..<all where choices.kept[first + rank] {
        (ids[served], weights[served]) = (ids[rank], weights[rank])
        served += 1
      }
      output.droppedAssignments += all - served
    }
    if let norm = configuration.norm {
      if norm.over == .all {
        divisor = norm.divisor(choices.fullNorms[token])
      } else if configuration.capacity?.normBeforeDropping != true {
        divisor = norm.divisor(norm.of(UnsafeBufferPointer(start: weights, count: served)))
      }
    }
    if configuration.capacity != nil || configuration.norm != nil || configuration.scale != 1 {
      for rank in 0..<served {
        let weight = Double(weights[rank])
        weights[rank] = weight == 0 ? 0 : Float(weight / divisor * Double(configuration.scale))
      }
    }
    output.append(UnsafeMutableBufferPointer(start: ids, count: served), weights: UnsafeMutableBufferPointer(start: weights, count: served))
  }
}

extension Choices {
  /// Marks the assignments beyond an expert's capacity. A dropped assignment still counts in the queue.
  func drop(beyond capacity: RouterConfiguration.Capacity, experts: Int, sequences: [Int]?) {
    let limit =
      switch capacity.limit {
      case .assignments(let n): n
      case .fraction(let f): Int((min(f, 1) * Double(tokens)).rounded(.up))
      case .twiceEvenShare: 2 * ((tokens + experts - 1) / experts)
      }
    func admit(_ token: Int, _ rank: Int) {
      let assignment = token * most + rank, expert = Int(ids[assignment])
      kept[assignment] = queue[expert] < limit
      queue[expert] += 1
    }
    var first = 0
    for sequence in 0..<(sequences?.count ?? 1) {
      let length = sequences?[sequence] ?? tokens
      queue.update(repeating: 0, count: experts)
      var served = UnsafeMutableBufferPointer(start: order + first, count: length)
      for index in 0..<length { served[index] = Int32(first + index) }
      if capacity.bestTokensFirst { served.sort { (-bestScores[Int($0)], $0) < (-bestScores[Int($1)], $1) } }
      switch capacity.order {
      case .tokenMajor: for token in served { for rank in 0..<Int(counts[Int(token)]) { admit(Int(token), rank) } }
      case .rankMajor:
        for rank in 0..<most { for token in served where rank < counts[Int(token)] { admit(Int(token), rank) } }
      }
      first += length
    }
  }
}

extension RouterConfiguration.Norm {
  func of(_ weights: UnsafeBufferPointer<Float>) -> Double {
    switch p {
    case 1: weights.reduce(0) { $0 + abs(Double($1)) }
    case 2: weights.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    default: power(weights.reduce(0) { $0 + power(abs(Double($1)), p) }, 1 / p)
    }
  }

  func divisor(_ norm: Double) -> Double { max(norm, minimum) + epsilon }
}
