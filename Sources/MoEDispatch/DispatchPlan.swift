// The dispatch plan: assignments sorted by expert, with the way back to the tokens.

public import MoERouting

/// Rows of one call, sorted by expert by a counting sort in O(tokens * k + experts).
///
/// Row a of the plan is token `tokens[a]` in its expert's group `offsets[e]..<offsets[e + 1]`; inside a group tokens ascend.
public struct DispatchPlan: Sendable {
  /// Number of tokens of the call.
  public let tokenCount: Int
  /// First row of each expert; experts + 1 entries. Empty groups are legal.
  public let offsets: [Int]
  /// Token of each row.
  public let tokens: [Int32]
  /// Coefficient of each row.
  public let weights: [Float]
  /// Rank of each row among its token's assignments.
  public let slots: [Int32]
  /// Rows of token t, in order of rank, are `rowOf[rowOffsets[t]..<rowOffsets[t + 1]]`.
  public let rowOf: [Int]
  /// First entry of each token in `rowOf`; tokens + 1 entries.
  public let rowOffsets: [Int]
  /// Sum of the coefficients of identity experts, which return their input; empty when there are none.
  public let identityWeights: [Float]

  /// Sorts the assignments of `routing`; ids from `experts` on are virtual and never become rows.
  ///
  /// - Parameter identity: true when virtual experts return their input, false when they return zero.
  public init(_ routing: RouterOutput, experts: Int, identity: Bool = true) {
    let tokenCount = routing.tokens
    var offsets = [Int](repeating: 0, count: experts + 1)
    for id in routing.expertIDs where Int(id) < experts { offsets[Int(id) + 1] += 1 }
    for expert in 0..<experts { offsets[expert + 1] += offsets[expert] }
    let rows = offsets[experts]
    var next = Array(offsets.dropLast())
    var tokens = [Int32](repeating: 0, count: rows), slots = tokens, weights = [Float](repeating: 0, count: rows)
    var rowOf: [Int] = [], rowOffsets = [0], identityWeights: [Float] = []
    rowOf.reserveCapacity(rows)
    rowOffsets.reserveCapacity(tokenCount + 1)
    if identity, routing.experts > experts { identityWeights = [Float](repeating: 0, count: tokenCount) }
    for token in 0..<tokenCount {
      let first = routing.offsets[token]
      for assignment in first..<routing.offsets[token + 1] {
        let expert = Int(routing.expertIDs[assignment])
        guard expert < experts else {
          if identity { identityWeights[token] += routing.weights[assignment] }
          continue
        }
        let row = next[expert]
        next[expert] += 1
        tokens[row] = Int32(token)
        slots[row] = Int32(assignment - first)
        weights[row] = routing.weights[assignment]
        rowOf.append(row)
      }
      rowOffsets.append(rowOf.count)
    }
    self.tokenCount = tokenCount
    self.offsets = offsets
    self.tokens = tokens
    self.weights = weights
    self.slots = slots
    self.rowOf = rowOf
    self.rowOffsets = rowOffsets
    self.identityWeights = identityWeights
  }

  /// Every token to one expert: the plan of a shared expert with a coefficient a token.
  public init(everyToken weights: [Float]) {
    tokenCount = weights.count
    offsets = [0, weights.count]
    tokens = (0..<weights.count).map(Int32.init)
    slots = [Int32](repeating: 0, count: weights.count)
    self.weights = weights
    rowOf = Array(0..<weights.count)
    rowOffsets = Array(0...weights.count)
    identityWeights = []
  }

  /// Number of experts.
  public var experts: Int { offsets.count - 1 }
  /// Number of rows.
  public var rows: Int { tokens.count }
  /// Rows of one expert.
  public func rows(of expert: Int) -> Range<Int> { offsets[expert]..<offsets[expert + 1] }
}
