// The experts and weights of every token: a ragged list, never a fixed rectangle.

/// Assignments of tokens to experts, token after token, each token's in descending order of selection.
///
/// A token may have any number of experts, none included; dropped assignments are not listed.
public struct RouterOutput: Sendable, Equatable {
  /// Number of expert ids; virtual experts come last.
  public private(set) var experts: Int
  /// Assignments of token t are `offsets[t]..<offsets[t + 1]`; tokens + 1 entries.
  public private(set) var offsets: [Int]
  /// Expert of each assignment.
  public private(set) var expertIDs: [Int32]
  /// Coefficient of each assignment.
  public private(set) var weights: [Float]
  /// Assignments that found their expert full.
  public internal(set) var droppedAssignments = 0
  /// Tokens with NaN or +inf among their logits.
  public internal(set) var nonFiniteTokens = 0

  /// No token yet.
  package init(experts: Int = 0) {
    self.experts = experts
    offsets = [0]
    expertIDs = []
    weights = []
  }

  /// Precomputed assignments: `expertIDs` and `weights` of token t at `offsets[t]..<offsets[t + 1]`.
  ///
  /// - Throws: `RoutingError.shape` when the lists do not fit together, `.assignment` for an id out of range or given twice to a token.
  public init(experts: Int, offsets: [Int], expertIDs: [Int32], weights: [Float]) throws(RoutingError) {
    guard experts > 0, offsets.first == 0, offsets.last == expertIDs.count, expertIDs.count == weights.count,
      zip(offsets, offsets.dropFirst()).allSatisfy({ $0 <= $1 })
    else {
      throw .shape("offsets \(offsets.prefix(4)).. do not frame \(expertIDs.count) ids and \(weights.count) weights of \(experts) experts")
    }
    for token in 0..<offsets.count - 1 {
      let ids = expertIDs[offsets[token]..<offsets[token + 1]]
      for (position, id) in zip(ids.indices, ids) where id < 0 || Int(id) >= experts || ids[..<position].contains(id) {
        throw .assignment(token: token, expert: Int(id), experts: experts)
      }
    }
    self.experts = experts
    self.offsets = offsets
    self.expertIDs = expertIDs
    self.weights = weights
  }

  /// Precomputed assignments of `k` experts to every token, [tokens, k] row-major.
  ///
  /// - Throws: as the general initialiser.
  public init(experts: Int, topK k: Int, expertIDs: [Int32], weights: [Float]) throws(RoutingError) {
    guard k > 0, expertIDs.count % k == 0 else { throw .shape("\(expertIDs.count) ids are no rows of \(k)") }
    try self.init(experts: experts, offsets: Array(stride(from: 0, through: expertIDs.count, by: k)), expertIDs: expertIDs, weights: weights)
  }

  /// Number of tokens.
  public var tokens: Int { offsets.count - 1 }
  /// Number of assignments.
  public var count: Int { expertIDs.count }

  /// Experts and weights of one token.
  public func assignments(of token: Int) -> [(expert: Int, weight: Float)] {
    (offsets[token]..<offsets[token + 1]).map { (Int(expertIDs[$0]), weights[$0]) }
  }

  /// No token again; the memory stays.
  mutating func removeAll(experts: Int) {
    self.experts = experts
    offsets.removeAll(keepingCapacity: true)
    offsets.append(0)
    expertIDs.removeAll(keepingCapacity: true)
    weights.removeAll(keepingCapacity: true)
    droppedAssignments = 0
    nonFiniteTokens = 0
  }

  /// The assignments of `tokens` tokens as a device left them: [tokens, most] ids, -1 behind the last of a token, as many weights, and 1 for each
  /// token with NaN or +inf among its logits.
  package mutating func refill(experts: Int, tokens: Int, most: Int, from words: UnsafeMutablePointer<Int32>) {
    removeAll(experts: experts)
    let weights = UnsafeMutableRawPointer(words + tokens * most).assumingMemoryBound(to: Float.self), marks = words + 2 * tokens * most
    for token in 0..<tokens {
      let ids = UnsafeMutableBufferPointer(start: words + token * most, count: most), count = ids.firstIndex(of: -1) ?? most
      append(UnsafeMutableBufferPointer(rebasing: ids[..<count]), weights: UnsafeMutableBufferPointer(start: weights + token * most, count: count))
      nonFiniteTokens += Int(marks[token])
    }
  }

  /// The next token.
  mutating func append(_ ids: UnsafeMutableBufferPointer<Int32>, weights: UnsafeMutableBufferPointer<Float>) {
    expertIDs.append(contentsOf: ids)
    self.weights.append(contentsOf: weights)
    offsets.append(expertIDs.count)
  }
}
