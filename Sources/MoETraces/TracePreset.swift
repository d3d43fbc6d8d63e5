// Traces by name: shares of variance fitted to published models, and simple cases that policies are told apart by.

/// How a generator's choices come about.
public struct TracePreset: Sendable, Hashable {
  /// The law of the choices.
  public enum Law: Sendable, Hashable, CustomStringConvertible {
    /// A Gaussian score an expert: see `GaussianShares`.
    case gaussian(GaussianShares)
    /// Each slot keeps its expert with this chance, else takes another at random.
    case sticky(stay: Double)
    /// The same experts for every token.
    case constant
    /// All experts in turn.
    case cyclic

    public var description: String {
      switch self {
      case .gaussian(let shares): "\(shares)"
      case .sticky(let stay): "stay \(stay)"
      case .constant: "one set"
      case .cyclic: "in turn"
      }
    }
  }

  public var name: String
  public var experts: Int
  public var topK: Int
  public var law: Law
  /// Tokens after which a sequence changes its subject, nil for never.
  public var phase: Int?

  /// A preset of one's own.
  public init(name: String, experts: Int, topK: Int, law: Law, phase: Int? = nil) {
    self.name = name
    self.experts = experts
    self.topK = topK
    self.law = law
    self.phase = phase
  }

  /// The preset called `name` ("qwen3-like").
  ///
  /// - Throws: `TraceError.unknownPreset`.
  public init(named name: String) throws(TraceError) {
    guard let preset = Self.all.first(where: { $0.name == name }) else { throw .unknownPreset(name) }
    self = preset
  }

  private static let qwen3 = Law.gaussian(GaussianShares(global: 0.063, sequence: 0.472, short: 0.256, memory: 0.835))

  /// All of them. The shares are fitted to measurements of local routing consistency and load balance ("Not All Models Suit Expert Offloading", 2025).
  public static let all = [
    TracePreset(name: "qwen3-like", experts: 128, topK: 8, law: qwen3),
    TracePreset(
      name: "mixtral-like", experts: 8, topK: 2, law: .gaussian(GaussianShares(global: 0.007, sequence: 0.079, short: 0.200, memory: 0.822))),
    TracePreset(
      name: "dsv2lite-like", experts: 64, topK: 6, law: .gaussian(GaussianShares(global: 0.019, sequence: 0.103, short: 0.318, memory: 0.838))),
    TracePreset(
      name: "olmoe-like", experts: 64, topK: 8, law: .gaussian(GaussianShares(global: 0.102, sequence: 0.259, short: 0.265, memory: 0.849))),
    TracePreset(name: "switch-like", experts: 128, topK: 1, law: .sticky(stay: 0.71)),
    TracePreset(name: "iid", experts: 64, topK: 6, law: .sticky(stay: 0)),
    TracePreset(name: "static", experts: 64, topK: 6, law: .constant),
    TracePreset(name: "cyclic", experts: 64, topK: 1, law: .cyclic),
    TracePreset(name: "phase", experts: 128, topK: 8, law: qwen3, phase: 128),
  ]
}

/// Where the variance of a score comes from; what the three shares leave is drawn anew for every token.
public struct GaussianShares: Sendable, Hashable, CustomStringConvertible {
  /// Fixed for the model: popular experts.
  public var global: Double
  /// Fixed for a sequence: its subject's experts.
  public var sequence: Double
  /// Changes slowly along the tokens.
  public var short: Double
  /// Correlation of the slow part from one token to the next.
  public var memory: Double
  /// Part of the slow one that all layers share, through a fixed map of experts to paths.
  public var paths = 0.0
  /// Concentration of the weights.
  public var scale = 1.5

  public init(global: Double, sequence: Double, short: Double, memory: Double, paths: Double = 0, scale: Double = 1.5) {
    self.global = global
    self.sequence = sequence
    self.short = short
    self.memory = memory
    self.paths = paths
    self.scale = scale
  }

  public var description: String {
    "global \(global), sequence \(sequence), short \(short), memory \(memory), paths \(paths), scale \(scale)"
  }

  func check() throws(TraceError) {
    let shares = [global, sequence, short], rest = 1 - shares.reduce(0, +)
    guard (shares + [memory, paths]).allSatisfy({ 0...1 ~= $0 }), rest >= -1e-9, scale >= 0, scale.isFinite else {
      throw .parameters("shares \(shares), memory \(memory), paths \(paths), scale \(scale)")
    }
  }
}
