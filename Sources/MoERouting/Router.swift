// The router: logits, scores, selection, capacity, weights.

internal import CMoEKernels
public import MoETensors

/// A router with its parameters; `configuration` says what it computes.
public struct Router: Sendable {
  /// What the router computes.
  public private(set) var configuration: RouterConfiguration
  /// Width of the rows it reads.
  public let hidden: Int
  /// [scores, hidden] row-major, f32 whatever the checkpoint held.
  package let weight: [Float]
  /// [scores], added to the logits.
  package let bias: [Float]?
  /// [scores], added to the scores for the choice only, never to the weights.
  package let choiceBias: [Float]?
  let kernels: KernelTable

  /// - Throws: `RoutingError` when the record contradicts itself or a parameter has another length.
  public init(
    _ configuration: RouterConfiguration, weight: [Float], hidden: Int, bias: [Float]? = nil, choiceBias: [Float]? = nil,
    kernels: KernelTable = .best
  ) throws(RoutingError) {
    try configuration.validate()
    guard hidden > 0, weight.count % hidden == 0, weight.count / hidden == configuration.scores else {
      throw .shape("weight has \(weight.count) values, expected \(configuration.scores) x \(hidden)")
    }
    for (name, values) in [("bias", bias), ("choice bias", choiceBias)] where values.map({ $0.count != configuration.scores }) == true {
      throw .shape("\(name) has \(values!.count) values, expected \(configuration.scores)")
    }
    guard choiceBias == nil || configuration.scoresEveryExpert else {
      throw .configuration("\(configuration.selection) takes no choice bias")
    }
    self.configuration = configuration
    self.hidden = hidden
    self.weight = weight
    self.bias = bias
    self.choiceBias = choiceBias
    self.kernels = kernels
  }

  /// The same router with another policy for NaN and +inf among the logits.
  public func treating(nonFinite: RouterConfiguration.NonFinite) -> Router {
    var router = self
    router.configuration.nonFinite = nonFinite
    return router
  }

  /// Logits [tokens, scores] of rows [tokens, hidden].
  ///
  /// - Throws: `RoutingError.shape` when `rows` is not whole rows.
  public func logits(_ rows: [Float]) throws(RoutingError) -> [Float] {
    guard rows.count % hidden == 0 else { throw .shape("\(rows.count) values are no rows of \(hidden)") }
    return rows.withUnsafeBufferPointer { rows in
      let tokens = rows.count / hidden
      return [Float](unsafeUninitializedCapacity: tokens * configuration.scores) { out, initialized in
        if tokens > 0 { logits(of: rows.baseAddress!, stride: hidden, count: tokens, 0..<configuration.scores, into: out.baseAddress!) }
        initialized = tokens * configuration.scores
      }
    }
  }

  /// Some of the logits of `count` rows, `stride` apart; `logits` [count, scores] has room for all.
  package func logits(
    of rows: UnsafePointer<Float>, stride: Int, count: Int, _ range: Range<Int>, into logits: UnsafeMutablePointer<Float>
  ) {
    let first = range.lowerBound
    func write(_ bias: UnsafePointer<Float>?) {
      weight.withUnsafeBufferPointer {
        kernels.row.pointee.router_logits(
          rows, Int64(stride), Int64(count), $0.baseAddress! + first * hidden, bias, Int64(range.count), Int64(hidden), logits + first,
          Int64(configuration.scores))
      }
    }
    if let bias { bias.withUnsafeBufferPointer { write($0.baseAddress! + first) } } else { write(nil) }
  }

  /// Experts and weights of every token from its logits [tokens, scores].
  ///
  /// - Parameter sequenceLengths: tokens of each sequence, for capacity counted by sequence; nil for one sequence.
  /// - Throws: `RoutingError.shape`, or `.nonFiniteLogit` when the configuration asks for it.
  public func route(logits: [Float], sequenceLengths: [Int]? = nil) throws(RoutingError) -> RouterOutput {
    let scores = configuration.scores
    guard logits.count % scores == 0 else { throw .shape("\(logits.count) logits are no rows of \(scores)") }
    let memory = GrowableBuffer(), choices = Choices(configuration, tokens: logits.count / scores, workers: 1, in: memory)
    defer { withExtendedLifetime(memory) {} }
    logits.withUnsafeBufferPointer { if let first = $0.baseAddress { choices.logits.update(from: first, count: logits.count) } }
    for token in 0..<choices.tokens { select(token, worker: 0, in: choices) }
    var output = RouterOutput()
    try weigh(choices, sequenceLengths: sequenceLengths, into: &output)
    return output
  }

  /// Logits, then experts and weights of rows [tokens, hidden].
  public func callAsFunction(_ rows: [Float], sequenceLengths: [Int]? = nil) throws(RoutingError) -> RouterOutput {
    try route(logits: logits(rows), sequenceLengths: sequenceLengths)
  }
}

extension Router {
  /// sigmoid(gate . row), with the exact arithmetic of scores: the gate of a shared expert.
  package func sigmoid(of row: UnsafePointer<Float>, _ gate: [Float]) -> Float {
    var logit: Float = 0, score: Float = 0
    kernels.row.pointee.router_logits(row, Int64(gate.count), 1, gate, nil, 1, Int64(gate.count), &logit, 1)
    kernels.row.pointee.router_scores(MOE_SCORE_SIGMOID, &logit, 1, &score)
    return score
  }
}
