// The one parameter record that spans all routers.

/// What a router computes, as data. Order of evaluation: edits, score, choice bias, group removal, selection, capacity,
/// weights of the selected, norm, scale.
///
/// Sources: the families' own definitions, one line each in `docs/families.md`.
public struct RouterConfiguration: Sendable, Hashable {
  /// Score of an expert, computed from the logits of its token.
  public enum Score: String, Sendable, Hashable {
    case softmax, sigmoid
    /// sqrt(log(1 + e^z)), DeepSeek-V4.
    case sqrtSoftplus
    /// The logit itself.
    case identity
  }

  /// Which experts a token gets.
  public enum Selection: Sendable, Hashable {
    /// The k best scores.
    case topK(Int)
    /// The smallest set of best scores whose sum exceeds the threshold (Dynamic-MoE).
    case topP(Float)
    /// The best of each of `groups` consecutive groups, softmax inside the group (M6-T prototypes).
    case topOfEachGroup(Int)
    /// Every expert takes its best ceil(tokens * factor / experts) tokens (expert choice).
    case expertChoice(factor: Float)
    /// Two rounds of argmax, each a softmax over the experts within a relative distance of 2 epsilon (Phi-3.5-MoE, GRIN).
    case sparseMixer(epsilon: Float)
    /// The k best sums of one score of each half of `keys` (Doge); the halves are read as the reference reads them, across tokens.
    case productKeys(keys: Int, k: Int)
    /// Every expert.
    case all
  }

  /// Selection limited to the best groups of experts.
  public struct Groups: Sendable, Hashable {
    /// Score of a group from the selection scores inside.
    public enum Score: String, Sendable, Hashable { case max, topTwoSum }
    /// Number of consecutive groups of equal size.
    public var count: Int
    /// Groups kept.
    public var kept: Int
    /// How a group is scored.
    public var score: Score
    /// Selection score of experts outside: -inf removes them; 0 leaves them selectable with weight 0 (DeepSeek-V2).
    public var fill: Float

    /// The best `kept` of `count` groups.
    public init(count: Int, kept: Int, score: Score, fill: Float = -.infinity) {
      self.count = count
      self.kept = kept
      self.score = score
      self.fill = fill
    }
  }

  /// Most assignments an expert accepts; what comes later is dropped and contributes nothing.
  public struct Capacity: Sendable, Hashable {
    /// How the limit is counted.
    public enum Limit: Sendable, Hashable {
      /// This many.
      case assignments(Int)
      /// ceil(fraction * tokens).
      case fraction(Double)
      /// 2 ceil(tokens / experts).
      case twiceEvenShare
    }
    /// Whose assignments come first.
    public enum Order: String, Sendable, Hashable {
      /// Token after token (Switch).
      case tokenMajor
      /// Every first choice before any second choice (GShard, NLLB).
      case rankMajor
    }
    /// The limit of each expert.
    public var limit: Limit
    /// Which assignments are counted first.
    public var order: Order
    /// True when tokens are counted anew in every sequence.
    public var perSequence: Bool
    /// True when tokens with the larger best score go first.
    public var bestTokensFirst: Bool
    /// True when the norm sees the dropped experts too.
    public var normBeforeDropping: Bool

    /// A limit; flags are false by default.
    public init(_ limit: Limit, order: Order, perSequence: Bool, bestTokensFirst: Bool = false, normBeforeDropping: Bool = false) {
      self.limit = limit
      self.order = order
      self.perSequence = perSequence
      self.bestTokensFirst = bestTokensFirst
      self.normBeforeDropping = normBeforeDropping
    }
  }

  /// Weight of a selected expert before norm and scale.
  public enum Weight: String, Sendable, Hashable {
    /// The score, without the choice bias.
    case score
    /// Softmax over the selected logits.
    case softmaxOfSelected
    /// Sigmoid of the logit.
    case sigmoidOfSelected
    /// 1 for every selected expert.
    case one
  }

  /// Division of a token's weights by their norm: w / (max(norm_p(w), minimum) + epsilon).
  public struct Norm: Sendable, Hashable {
    /// Whose weights the norm sums: the selected experts' or all scores.
    public enum Over: String, Sendable, Hashable { case selected, all }
    /// Order of the norm.
    public var p: Double
    /// Added to the norm.
    public var epsilon: Double
    /// Least value of the norm.
    public var minimum: Double
    /// What the norm is taken over.
    public var over: Over

    /// The sum of the selected weights by default.
    public init(p: Double = 1, epsilon: Double = 0, minimum: Double = 0, over: Over = .selected) {
      self.p = p
      self.epsilon = epsilon
      self.minimum = minimum
      self.over = over
    }
  }

  /// What happens to a token with NaN or +inf among its logits.
  public enum NonFinite: String, Sendable, Hashable {
    /// Distinct experts in range, NaN weights and so a NaN output; no other token changes.
    case propagate
    /// NaN counts as -inf, +inf shares all weight among its experts; a token with nothing left gets no expert.
    case sanitize
    /// `RoutingError.nonFiniteLogit`.
    case throwError
  }

  /// Number of logits of a token: real and virtual experts (twice the keys for product keys).
  public var scores: Int
  /// Number of expert ids.
  public var experts: Int
  /// Score of an expert.
  public var score: Score
  /// Which experts a token gets.
  public var selection: Selection
  /// Limit to the best groups, nil for none.
  public var groups: Groups?
  /// Limit of every expert, nil for none.
  public var capacity: Capacity?
  /// Weight of a selected expert before norm and scale.
  public var weight: Weight
  /// Norm of a token's weights, nil for none.
  public var norm: Norm?
  /// Multiplies every weight, after the norm.
  public var scale: Float
  /// What happens to NaN and +inf among the logits.
  public var nonFinite: NonFinite

  /// A record; `Router` validates it. `experts` is `scores` by default.
  public init(
    scores: Int, experts: Int? = nil, score: Score, selection: Selection, groups: Groups? = nil, capacity: Capacity? = nil,
    weight: Weight = .score, norm: Norm? = nil, scale: Float = 1, nonFinite: NonFinite = .propagate
  ) {
    self.scores = scores
    self.experts = experts ?? scores
    self.score = score
    self.selection = selection
    self.groups = groups
    self.capacity = capacity
    self.weight = weight
    self.norm = norm
    self.scale = scale
    self.nonFinite = nonFinite
  }

  /// False for selections that compare logits, without a score for each expert: these take no choice bias, no groups, no norm over all.
  var scoresEveryExpert: Bool {
    switch selection {
    case .sparseMixer, .productKeys: false
    default: true
    }
  }

  /// Checks the record for contradictions.
  ///
  /// - Throws: `RoutingError.configuration` naming the values.
  public func validate() throws(RoutingError) {
    func require(_ holds: Bool, _ reason: @autoclosure () -> String) throws(RoutingError) {
      if !holds { throw .configuration(reason()) }
    }
    try require(scores > 0 && experts > 0, "a router needs experts, found \(experts) and \(scores) scores")
    try require(experts <= Int32.max, "\(experts) experts do not fit 32-bit ids")
    switch selection {
    case .topK(let k): try require(k > 0 && k <= scores, "top-k \(k) of \(scores) experts")
    case .topP(let p): try require(p > 0, "top-p threshold \(p)")
    case .topOfEachGroup(let groups): try require(groups > 0 && scores % groups == 0, "\(scores) experts in \(groups) groups")
    case .expertChoice(let factor): try require(factor > 0 && factor.isFinite, "capacity factor \(factor)")
    case .sparseMixer(let epsilon): try require(scores >= 2 && epsilon >= 0, "sparsemixer over \(scores) experts, epsilon \(epsilon)")
    case .productKeys(let keys, let k):
      try require(
        keys > 0 && keys <= 46340 && scores == 2 * keys && experts == keys * keys && k > 0 && k <= experts,
        "\(keys) product keys with \(scores) scores, \(experts) experts, top-k \(k)")
    case .all: break
    }
    if case .productKeys = selection {} else { try require(experts == scores, "\(scores) scores for \(experts) experts") }
    if let groups {
      try require(
        groups.count > 0 && scores % groups.count == 0 && groups.kept > 0 && groups.kept <= groups.count,
        "\(scores) experts in \(groups.count) groups, \(groups.kept) kept")
      try require(groups.score == .max || scores / groups.count >= 2, "the two best of groups of \(scores / groups.count) experts")
    }
    if case .assignments(let limit)? = capacity?.limit { try require(limit > 0, "expert capacity \(limit)") }
    if case .fraction(let fraction)? = capacity?.limit { try require(fraction > 0, "capacity fraction \(fraction)") }
    if let norm { try require(norm.p > 0 && norm.p.isFinite, "norm of order \(norm.p)") }
    if !scoresEveryExpert {
      try require(groups == nil, "\(selection) has no groups")
      try require(norm?.over != .all, "\(selection) has no norm over all experts")
      try require(capacity?.bestTokensFirst != true, "\(selection) has no best score to go first by")
    }
  }
}

/// What can be wrong with a router, its input or precomputed assignments.
public enum RoutingError: Error, Equatable, CustomStringConvertible {
  /// The record contradicts itself.
  case configuration(String)
  /// Rows, logits or lists do not fit together.
  case shape(String)
  /// NaN or +inf among the logits, with the policy `.throwError`.
  case nonFiniteLogit(token: Int, expert: Int, value: Float)
  /// An id out of range, or given twice to a token.
  case assignment(token: Int, expert: Int, experts: Int)

  public var description: String {
    switch self {
    case .configuration(let reason): "router configuration: \(reason)"
    case .shape(let reason): "router input: \(reason)"
    case .nonFiniteLogit(let token, let expert, let value): "token \(token) has logit \(value) for expert \(expert)"
    case .assignment(let token, let expert, let experts): "token \(token) is assigned to expert \(expert) of \(experts), or twice"
    }
  }
}
