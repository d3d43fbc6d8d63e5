// Router scores of a layer's rows, in parallel over the tokens.

internal import MoEFamilies
internal import MoEGroupedGEMM
public import MoERouting
internal import MoETensors

extension MoELayer {
  /// Experts and weights of rows [tokens, hidden].
  ///
  /// - Throws: `MoEError.rows` for another width, `.routing` when the router's policy refuses a logit.
  public func route(_ hiddenStates: HiddenStates, sequenceLengths: [Int]? = nil) throws(MoEError) -> RouterOutput {
    guard hiddenStates.hidden == hidden else { throw .rows(expected: [hiddenStates.tokens, hidden], found: [hiddenStates.tokens, hiddenStates.hidden]) }
    return try MoEError.routing { () throws(RoutingError) in
      try weights.router(hiddenStates.values, sequenceLengths: sequenceLengths)
    }
  }

  func route(_ hidden: FloatRows, sequenceLengths: [Int]?) throws(MoEError) -> RouterOutput {
    let scores = weights.router.configuration.scores
    let logits = [Float](unsafeUninitializedCapacity: hidden.count * scores) { out, initialized in
      if let base = out.baseAddress { backend.forEach(hidden.count) { weights.router.logits(of: hidden.row($0), into: base + $0 * scores) } }
      initialized = hidden.count * scores
    }
    return try MoEError.routing { () throws(RoutingError) in try weights.router.route(logits: logits, sequenceLengths: sequenceLengths) }
  }

  /// Coefficient of the shared expert for every token: 1, or the sigmoid of its gate.
  func sharedCoefficients(_ hidden: FloatRows) -> [Float] {
    guard let gate = weights.sharedGate else { return [Float](repeating: 1, count: hidden.count) }
    return [Float](unsafeUninitializedCapacity: hidden.count) { out, initialized in
      if let base = out.baseAddress { backend.forEach(hidden.count) { base[$0] = weights.router.sigmoid(of: hidden.row($0), gate) } }
      initialized = hidden.count
    }
  }
}
