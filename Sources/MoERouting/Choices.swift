// The batch of a router in memory: logits, selections before norm and scale, scratch of every worker.

package import MoETensors

/// Room for the routing of one batch in a buffer that outlives it; the next batch uses the same memory.
package struct Choices: @unchecked Sendable {
  /// Number of tokens.
  package let tokens: Int
  /// The most experts that a token can get.
  let most: Int
  /// [tokens, scores]; edited by the policy for non-finite values.
  package let logits: UnsafeMutablePointer<Float>
  /// [tokens, most] experts of each token, and their weights, not yet normalised or scaled.
  let ids: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>
  /// How many experts each token has.
  let counts: UnsafeMutablePointer<Int32>
  /// First score of each token whose logit is NaN or +inf; -1 for none.
  let nonFinite: UnsafeMutablePointer<Int32>
  /// Best score of each token, -inf where there is none; written only where capacity serves best tokens first.
  let bestScores: UnsafeMutablePointer<Float>
  /// Norm over all experts of each token; written only for `Norm.Over.all`.
  let fullNorms: UnsafeMutablePointer<Double>
  /// [tokens, most], false for an assignment that found its expert full; written only where there is a capacity.
  let kept: UnsafeMutablePointer<Bool>
  /// Scratch of the passes over the whole batch: assignments of each expert, tokens in order of service.
  let queue: UnsafeMutablePointer<Int32>, order: UnsafeMutablePointer<Int32>
  /// [experts, tokens] selection scores and [tokens, experts] weights; only for expert choice.
  let columns: UnsafeMutablePointer<Float>, columnWeights: UnsafeMutablePointer<Float>
  private let workers: UnsafeMutablePointer<Float>
  private let scores: Int, widest: Int, groups: Int

  /// - Parameter workers: how many threads may select at once.
  package init(_ configuration: RouterConfiguration, tokens: Int, workers: Int, in buffer: GrowableBuffer) {
    let scores = configuration.scores, experts = configuration.experts, most = configuration.mostExperts
    let columns = if case .expertChoice = configuration.selection { tokens * experts } else { 0 }
    self.tokens = tokens
    self.most = most
    self.scores = scores
    widest = max(scores, experts)
    groups = configuration.groups?.count ?? 0
    let scratch = TokenScratch.words(scores: scores, widest: widest, groups: groups)
    let words = tokens * (2 + scores + 3 * most + 4) + experts + 2 * columns + workers * scratch
    let first = buffer.room(for: words, of: Float.self)
    var next = first
    func part<Value: BitwiseCopyable>(_ count: Int, words: Int = 1) -> UnsafeMutablePointer<Value> {
      defer { next += count * words }
      return UnsafeMutableRawPointer(next).assumingMemoryBound(to: Value.self)
    }
    self.workers = part(workers * scratch)
    fullNorms = part(tokens, words: 2)
    logits = part(tokens * scores)
    ids = part(tokens * most)
    weights = part(tokens * most)
    kept = part(tokens * most)
    counts = part(tokens)
    nonFinite = part(tokens)
    bestScores = part(tokens)
    order = part(tokens)
    queue = part(experts)
    self.columns = part(columns)
    columnWeights = part(columns)
    assert(next == first + words)
  }

  /// Where one token is selected on one worker.
  func scratch(of token: Int, worker: Int) -> TokenScratch {
    let words = TokenScratch.words(scores: scores, widest: widest, groups: groups)
    return TokenScratch(
      logits: logits + token * scores, ids: ids + token * most, weights: weights + token * most, base: workers + worker * words,
      scores: scores, widest: widest, groups: groups)
  }
}

/// Memory of one token: its place in the batch, and scratch.
struct TokenScratch {
  /// Logits as edited by the policy for non-finite values.
  var logits: UnsafeMutablePointer<Float>
  /// The experts that the token gets, and their weights.
  let ids: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>
  /// Scores that become weights.
  let scores: UnsafeMutablePointer<Float>
  /// [scores] free for a selection's own use.
  let spare: UnsafeMutablePointer<Float>
  /// Scores that decide: biased, groups removed, masked. As many as there are scores or ids, whichever is more.
  let choice: UnsafeMutablePointer<Float>
  /// As `choice`; holds logits or scores of the selected.
  let selected: UnsafeMutablePointer<Float>
  /// [groups].
  let groupScores: UnsafeMutablePointer<Float>, keptGroups: UnsafeMutablePointer<Int32>

  init(
    logits: UnsafeMutablePointer<Float>, ids: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>,
    base: UnsafeMutablePointer<Float>, scores count: Int, widest: Int, groups: Int
  ) {
    self.logits = logits
    self.ids = ids
    self.weights = weights
    scores = base
    spare = base + count
    choice = spare + count
    selected = choice + widest
    groupScores = selected + widest
    keptGroups = UnsafeMutableRawPointer(groupScores + groups).assumingMemoryBound(to: Int32.self)
  }

  /// Floats of scratch, whole cache lines.
  static func words(scores: Int, widest: Int, groups: Int) -> Int { (2 * (scores + widest + groups) + 15) / 16 * 16 }
}

extension RouterConfiguration {
  /// The most experts that a token can get.
  var mostExperts: Int {
    switch selection {
    case .topK(let k), .productKeys(_, let k): k
    case .topOfEachGroup(let groups): groups
    case .sparseMixer: 2
    case .topP, .all, .expertChoice: experts
    }
  }
}
