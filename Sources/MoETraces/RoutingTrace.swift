// A routing trace: which experts each token of some sequences went to, layer by layer.

/// Choices of experts without the model that made them.
public struct RoutingTrace: Sendable, Hashable {
  /// Tokens in a row.
  public struct Sequence: Sendable, Hashable {
    /// Number of the sequence, and of its subject.
    public let id, domain: UInt32
    /// Experts by token, layer and rank, the heaviest first.
    public let experts: [UInt16]
    /// Their weights, in the same order, as exact as an f16.
    public let weights: [Float]

    /// A sequence as it is; the trace checks it.
    public init(id: UInt32, domain: UInt32, experts: [UInt16], weights: [Float]) {
      self.id = id
      self.domain = domain
      self.experts = experts
      self.weights = weights
    }
  }

  public let layers: Int
  public let experts: Int
  public let topK: Int
  /// How it was made, in words.
  public let parameters: String
  public let sequences: [Sequence]

  /// Most of each, for files and generators alike.
  public static let limits = (layers: 1024, experts: 65535, topK: 256, sequences: 1 << 20, choices: 1 << 31, parameterBytes: 1 << 16)

  /// - Throws: `TraceError` when the numbers are beyond the limits or sequences do not fit them.
  public init(layers: Int, experts: Int, topK: Int, parameters: String, sequences: [Sequence]) throws(TraceError) {
    try Self.check(layers: layers, experts: experts, topK: topK)
    guard sequences.count <= Self.limits.sequences else { throw .limit("sequences", sequences.count) }
    guard parameters.utf8.count <= Self.limits.parameterBytes else { throw .limit("bytes of parameters", parameters.utf8.count) }
    for sequence in sequences {
      guard sequence.experts.count % (layers * topK) == 0, sequence.weights.count == sequence.experts.count else {
        throw .sequence(sequence.id, "\(sequence.experts.count) experts and \(sequence.weights.count) weights for \(layers) layers of top-\(topK)")
      }
      if let wrong = sequence.experts.first(where: { Int($0) >= experts }) { throw .sequence(sequence.id, "expert \(wrong) of \(experts)") }
    }
    self.layers = layers
    self.experts = experts
    self.topK = topK
    self.parameters = parameters
    self.sequences = sequences
  }

  static func check(layers: Int, experts: Int, topK: Int) throws(TraceError) {
    guard 1...limits.layers ~= layers else { throw .limit("layers", layers) }
    guard 1...limits.experts ~= experts else { throw .limit("experts", experts) }
    guard 1...min(experts, limits.topK) ~= topK else { throw .limit("experts a token", topK) }
  }

  /// Tokens of all sequences.
  public var tokens: Int { sequences.reduce(0) { $0 + tokens(of: $1) } }
  /// Tokens of one sequence.
  public func tokens(of sequence: Sequence) -> Int { sequence.experts.count / (layers * topK) }

  /// Experts of one token in one layer, the heaviest first.
  public func choice(_ sequence: Sequence, token: Int, layer: Int) -> ArraySlice<UInt16> {
    let first = (token * layers + layer) * topK
    return sequence.experts[first..<first + topK]
  }

  /// First row of each expert and the end, of some tokens of a sequence in one layer: what a dispatch plan of theirs has.
  public func offsets(_ sequence: Sequence, tokens: Range<Int>, layer: Int) -> [Int] {
    var offsets = Array(repeating: 0, count: experts + 1)
    for token in tokens { for expert in choice(sequence, token: token, layer: layer) { offsets[Int(expert) + 1] += 1 } }
    for expert in 0..<experts { offsets[expert + 1] += offsets[expert] }
    return offsets
  }
}

/// What can be wrong with a trace; of files see also `CheckpointError`.
public enum TraceError: Error, Sendable, Hashable, CustomStringConvertible {
  /// A number outside of what traces have.
  case limit(String, Int)
  /// A sequence that does not fit its trace.
  case sequence(UInt32, String)
  /// No generator of this name.
  case unknownPreset(String)
  /// Shares of variance, or a correlation, that are none.
  case parameters(String)

  public var description: String {
    switch self {
    case .limit(let what, let found): "\(found) \(what): no trace has that"
    case .sequence(let id, let found): "sequence \(id): \(found)"
    case .unknownPreset(let name): "unknown trace '\(name)'; there are \(TracePreset.all.map(\.name).joined(separator: ", ")) and paths of files"
    case .parameters(let found): "generator: \(found)"
    }
  }
}
