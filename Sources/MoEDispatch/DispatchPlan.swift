// The dispatch plan: assignments sorted by expert, with the way back to the tokens.

public import MoERouting

/// Rows of one call, sorted by expert by a counting sort in O(tokens * k + experts).
///
/// Row a of the plan is token `tokens[a]` in its expert's group `offsets[e]..<offsets[e + 1]`; inside a group tokens ascend.
public struct DispatchPlan: Sendable {
  /// First row of each expert; experts + 1 entries. Empty groups are legal.
  public private(set) var offsets: [Int] = [0]
  /// Experts that have rows, ascending.
  public private(set) var activeExperts: [Int32] = []
  /// Token of each row.
  public private(set) var tokens: [Int32] = []
  /// Coefficient of each row.
  public private(set) var weights: [Float] = []
  /// Rank of each row among its token's assignments.
  public private(set) var slots: [Int32] = []
  /// Rows of token t, ascending and so in order of expert, are `rowOf[rowOffsets[t]..<rowOffsets[t + 1]]`.
  public private(set) var rowOf: [Int] = []
  /// First entry of each token in `rowOf`; tokens + 1 entries.
  public private(set) var rowOffsets: [Int] = [0]
  /// Sum of the coefficients of identity experts, which return their input; empty when there are none.
  public private(set) var identityWeights: [Float] = []

  /// The plan of no tokens and no experts.
  package init() {}

  /// Sorts the assignments of `routing`; ids from `experts` on are virtual and never become rows.
  ///
  /// - Parameter identity: true when virtual experts return their input, false when they return zero.
  public init(_ routing: RouterOutput, experts: Int, identity: Bool = true) { sort(routing, experts: experts, identity: identity) }

  /// Every token to one expert: the plan of a shared expert with a coefficient a token.
  public init(everyToken weights: [Float]) { weights.withUnsafeBufferPointer { sort(everyToken: $0) } }

  /// As the initialiser, in the memory of the plan that was here.
  package mutating func sort(_ routing: RouterOutput, experts: Int, identity: Bool = true) {
    offsets.refill(0, count: experts + 1)
    for id in routing.expertIDs where Int(id) < experts { offsets[Int(id) + 1] += 1 }
    activeExperts.removeAll(keepingCapacity: true)
    for expert in 0..<experts {
      if offsets[expert + 1] > 0 { activeExperts.append(Int32(expert)) }
      offsets[expert + 1] += offsets[expert]
    }
    let rows = offsets[experts]
    tokens.refill(0, count: rows)
    slots.refill(0, count: rows)
    weights.refill(0, count: rows)
    rowOffsets.refill(0, count: routing.tokens + 1)
    identityWeights.refill(0, count: identity && routing.experts > experts ? routing.tokens : 0)
    for token in 0..<routing.tokens {
      let first = routing.offsets[token]
      for assignment in first..<routing.offsets[token + 1] {
        let expert = Int(routing.expertIDs[assignment])
        guard expert < experts else {
          if identity { identityWeights[token] += routing.weights[assignment] }
          continue
        }
        // Each group's first row moves to its end, where the next group begins; `moveBack` undoes it.
        let row = offsets[expert]
        offsets[expert] += 1
        tokens[row] = Int32(token)
        slots[row] = Int32(assignment - first)
        weights[row] = routing.weights[assignment]
        rowOffsets[token + 1] += 1
      }
    }
    moveBack(&offsets)
    listRowsOfTokens()
  }

  /// Lists the rows of every token; `rowOffsets` counts them, each behind its token.
  private mutating func listRowsOfTokens() {
    rowOf.refill(0, count: rows)
    for token in 0..<tokenCount { rowOffsets[token + 1] += rowOffsets[token] }
    for row in 0..<rows {
      let token = Int(tokens[row])
      rowOf[rowOffsets[token]] = row
      rowOffsets[token] += 1
    }
    moveBack(&rowOffsets)
  }

  /// The rows that `plan` has for some of its experts, in the memory of the plan that was here.
  ///
  /// - Parameters:
  ///   - experts: how many experts there are here.
  ///   - numbers: the number of every expert of `plan` here, in the same order; negative for one that is left out.
  ///   - identity: true to take what identity experts return along.
  package mutating func take(_ plan: borrowing DispatchPlan, experts: Int, numbers: [Int32], identity: Bool) {
    offsets.refill(0, count: experts + 1)
    rowOffsets.refill(0, count: plan.tokenCount + 1)
    activeExperts.removeAll(keepingCapacity: true)
    tokens.removeAll(keepingCapacity: true)
    slots.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
    identityWeights.removeAll(keepingCapacity: true)
    for expert in plan.activeExperts where numbers[Int(expert)] >= 0 {
      let rows = plan.rows(of: Int(expert)), number = numbers[Int(expert)]
      activeExperts.append(number)
      offsets[Int(number) + 1] = rows.count
      tokens.append(contentsOf: plan.tokens[rows])
      slots.append(contentsOf: plan.slots[rows])
      weights.append(contentsOf: plan.weights[rows])
    }
    if identity { identityWeights.append(contentsOf: plan.identityWeights) }
    for expert in 0..<experts { offsets[expert + 1] += offsets[expert] }
    for token in tokens { rowOffsets[Int(token) + 1] += 1 }
    listRowsOfTokens()
  }

  /// As the initialiser, in the memory of the plan that was here.
  package mutating func sort(everyToken coefficients: UnsafeBufferPointer<Float>) {
    let count = coefficients.count
    offsets.refill(0, count: 2)
    offsets[1] = count
    activeExperts.refill(0, count: min(count, 1))
    weights.removeAll(keepingCapacity: true)
    weights.append(contentsOf: coefficients)
    slots.refill(0, count: count)
    tokens.refill(0, count: count)
    rowOf.refill(0, count: count)
    rowOffsets.refill(0, count: count + 1)
    for token in 0..<count { (tokens[token], rowOf[token], rowOffsets[token + 1]) = (Int32(token), token, token + 1) }
    identityWeights.removeAll(keepingCapacity: true)
  }

  /// Number of tokens of the call.
  public var tokenCount: Int { rowOffsets.count - 1 }
  /// Number of experts.
  public var experts: Int { offsets.count - 1 }
  /// Number of rows.
  public var rows: Int { tokens.count }
  /// Rows of one expert.
  public func rows(of expert: Int) -> Range<Int> { offsets[expert]..<offsets[expert + 1] }
}

/// Ends of groups, which are the firsts of the next ones, to firsts again.
private func moveBack(_ offsets: inout [Int]) {
  for group in stride(from: offsets.count - 1, to: 0, by: -1) { offsets[group] = offsets[group - 1] }
  offsets[0] = 0
}

extension Array {
  /// `count` times `value`, in the memory that is there if it is enough.
  fileprivate mutating func refill(_ value: Element, count: Int) {
    removeAll(keepingCapacity: true)
    append(contentsOf: repeatElement(value, count: count))
  }
}
