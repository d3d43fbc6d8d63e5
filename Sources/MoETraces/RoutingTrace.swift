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
    /// Experts by token, layer and router score, the highest first: `scoresPerChoice` of them, those that were chosen and more.
    public let scored: [UInt16]
    /// Their scores, as exact as an f16.
    public let scores: [Float]
    /// `sketchWidth` values of the hidden state, by token and layer, as exact as an f16.
    public let sketch: [Float]

    /// A sequence as it is; the trace checks it.
    public init(
      id: UInt32, domain: UInt32, experts: [UInt16], weights: [Float], scored: [UInt16] = [], scores: [Float] = [], sketch: [Float] = []
    ) {
      self.id = id
      self.domain = domain
      self.experts = experts
      self.weights = weights
      self.scored = scored
      self.scores = scores
      self.sketch = sketch
    }
  }

  public let layers: Int
  public let experts: Int
  public let topK: Int
  /// Experts of which the scores are known for a token in a layer, topK at least; 0 for none.
  public let scoresPerChoice: Int
  /// Values of a hidden state that are known for a token in a layer, 0 for none.
  public let sketchWidth: Int
  /// How it was made, in words.
  public let parameters: String
  public let sequences: [Sequence]

  /// Most of each, for files and generators alike.
  public static let limits = (layers: 1024, experts: 65535, topK: 256, sequences: 1 << 20, choices: 1 << 31, parameterBytes: 1 << 16, sketchWidth: 1 << 12)

  /// - Throws: `TraceError` when the numbers are beyond the limits or sequences do not fit them.
  public init(
    layers: Int, experts: Int, topK: Int, scoresPerChoice: Int = 0, sketchWidth: Int = 0, parameters: String, sequences: [Sequence]
  ) throws(TraceError) {
    try Self.check(layers: layers, experts: experts, topK: topK)
    guard scoresPerChoice == 0 || topK...experts ~= scoresPerChoice else { throw .limit("scores of a choice", scoresPerChoice) }
    guard 0...Self.limits.sketchWidth ~= sketchWidth else { throw .limit("values of a sketch", sketchWidth) }
    guard sequences.count <= Self.limits.sequences else { throw .limit("sequences", sequences.count) }
    guard parameters.utf8.count <= Self.limits.parameterBytes else { throw .limit("bytes of parameters", parameters.utf8.count) }
    for sequence in sequences {
      guard sequence.experts.count % (layers * topK) == 0, sequence.weights.count == sequence.experts.count else {
        throw .sequence(sequence.id, "\(sequence.experts.count) experts and \(sequence.weights.count) weights for \(layers) layers of top-\(topK)")
      }
      let choices = sequence.experts.count / topK
      guard sequence.scored.count == choices * scoresPerChoice, sequence.scores.count == sequence.scored.count,
        sequence.sketch.count == choices * sketchWidth
      else {
        throw .sequence(
          sequence.id, "\(sequence.scored.count) experts and \(sequence.scores.count) scores, \(sequence.sketch.count) values of sketches for \(choices) choices")
      }
      for ids in [sequence.experts, sequence.scored] {
        if let wrong = ids.first(where: { Int($0) >= experts }) { throw .sequence(sequence.id, "expert \(wrong) of \(experts)") }
      }
    }
    self.layers = layers
    self.experts = experts
    self.topK = topK
    self.scoresPerChoice = scoresPerChoice
    self.sketchWidth = sketchWidth
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
