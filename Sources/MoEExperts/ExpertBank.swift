// The experts of one layer: their matrices, biases and the nonlinearity between.

package import CMoEKernels
public import MoETensors

/// One feed-forward expert: down(act(gate x) * up x), or down(act(up x)) without a gate.
public struct Expert: Sendable {
  /// [intermediate, hidden]; nil for ungated experts.
  public var gate: PackedMatrix?
  /// [intermediate, hidden].
  public var up: PackedMatrix
  /// [hidden, intermediate].
  public var down: PackedMatrix
  /// [intermediate], added to the gate's product.
  public var gateBias: [Float]?
  /// [intermediate], added to the up product.
  public var upBias: [Float]?
  /// [hidden], added before the routing weight multiplies.
  public var downBias: [Float]?

  /// An expert of these parts; `ExpertBank` checks that they fit together.
  public init(
    gate: PackedMatrix?, up: PackedMatrix, down: PackedMatrix, gateBias: [Float]? = nil, upBias: [Float]? = nil, downBias: [Float]? = nil
  ) {
    self.gate = gate
    self.up = up
    self.down = down
    self.gateBias = gateBias
    self.upBias = upBias
    self.downBias = downBias
  }

  /// Gate, up and down.
  package var matrices: [PackedMatrix] { [gate, up, down].compactMap { $0 } }

  /// The expert with other matrices of the same shapes, in the order of `matrices`.
  func replacingMatrices(_ replace: (PackedMatrix) -> PackedMatrix) -> Expert {
    var expert = self
    expert.gate = gate.map(replace)
    expert.up = replace(up)
    expert.down = replace(down)
    return expert
  }

  /// Bytes of the matrices in their published formats.
  package var publishedBytes: Int { (gate?.publishedBytes ?? 0) + up.publishedBytes + down.publishedBytes }

  /// Bytes of the packed matrices and biases.
  public var residentBytes: Int {
    let biases = (gateBias?.count ?? 0) + (upBias?.count ?? 0) + (downBias?.count ?? 0)
    return (gate?.residentBytes ?? 0) + up.residentBytes + down.residentBytes + biases * 4
  }
}

/// What an expert computes between its two products.
public struct ExpertActivation: Sendable, Hashable {
  /// The nonlinearity.
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case silu, gelu, geluTanh, relu
    /// max(x, 0)^2.
    case relu2
    /// (up + 1) * gate * sigmoid(alpha * gate), GPT-OSS.
    case swigluOAI
  }

  /// The nonlinearity.
  public var kind: Kind
  /// gate <- min(gate, limit) and up <- clamp(up, -limit, limit) before the nonlinearity; nil for none.
  public var limit: Float?
  /// Slope of the sigmoid of `swigluOAI`.
  public var alpha: Float

  /// An activation; `alpha` matters to `swigluOAI` alone.
  public init(_ kind: Kind, limit: Float? = nil, alpha: Float = 1.702) {
    self.kind = kind
    self.limit = limit
    self.alpha = alpha
  }

  package var borrowed: moe_expert_activation {
    let kind: moe_activation =
      switch self.kind {
      case .silu: MOE_SILU
      case .gelu: MOE_GELU
      case .geluTanh: MOE_GELU_TANH
      case .relu: MOE_RELU
      case .relu2: MOE_RELU2
      case .swigluOAI: MOE_SWIGLU_OAI
      }
    return moe_expert_activation(kind: kind, limit: limit ?? .infinity, alpha: alpha)
  }
}

/// Experts of equal shape that tokens are dispatched to.
public struct ExpertBank: Sendable {
  /// The experts; the index is the expert's id.
  public private(set) var experts: [Expert]
  /// Width of the rows the experts read and write.
  public let hidden: Int
  /// Width between the two products.
  public let intermediate: Int
  /// What every expert computes between its products.
  public let activation: ExpertActivation
  /// True when the routing weight multiplies the expert's input instead of its output (Llama 4).
  public let weightOnInput: Bool
  /// Multiplies every expert's output beside its coefficient (NLLB's 1 - moe_token_dropout).
  public let outputScale: Float
  /// True when some matrix wants its input columns in another order.
  package let reordersColumns: Bool
  /// Formats of the gate and up matrices, and of the down matrices, that kernels on rounded activations can read where their format has one.
  package private(set) var gateUpFormats: [WeightFormat], downFormats: [WeightFormat]
  /// Which node computes what of the experts; nil for a bank in one place.
  package private(set) var nodes: BankNodes?
  /// The experts as the tasks of a call read them.
  package private(set) var borrowed: BorrowedExperts

  /// - Throws: `ShapeError` when there is no expert or one differs in shape from the first.
  public init(_ experts: [Expert], activation: ExpertActivation, weightOnInput: Bool = false, outputScale: Float = 1, name: String = "experts")
    throws(ShapeError)
  {
    // Parts of a bank that lies on several nodes.
    let experts = experts.map { $0.replacingMatrices(\.gathered) }
    guard let first = experts.first else { throw ShapeError(tensor: name, reason: "there is no expert") }
    for (index, expert) in experts.enumerated() {
      let gate = expert.gate ?? expert.up
      let shapes = [[gate.rows, gate.columns], [expert.up.rows, expert.up.columns], [expert.down.columns, expert.down.rows]]
      guard shapes.allSatisfy({ $0 == [first.up.rows, first.up.columns] }), (expert.gate == nil) == (first.gate == nil) else {
        throw ShapeError(
          tensor: name,
          reason: "expert \(index) has gate, up, down^T of \(shapes), expected \([first.up.rows, first.up.columns])")
      }
      for (bias, width, part) in [
        (expert.gateBias, expert.up.rows, "gate"), (expert.upBias, expert.up.rows, "up"), (expert.downBias, expert.down.rows, "down"),
      ] where bias.map({ $0.count != width }) == true {
        throw ShapeError(tensor: name, reason: "expert \(index) has \(bias!.count) values of \(part) bias, expected \(width)")
      }
    }
    self.experts = experts
    self.hidden = first.up.columns
    self.intermediate = first.up.rows
    self.activation = activation
    self.weightOnInput = weightOnInput
    self.outputScale = outputScale
    reordersColumns = experts.contains { $0.up.inputOrder != nil || $0.gate?.inputOrder != nil || $0.down.inputOrder != nil }
    (gateUpFormats, downFormats) = roundedFormats(of: experts)
    borrowed = BorrowedExperts(experts, nil)
  }

  /// Gate, up and down of one expert after the other.
  package var matrices: [PackedMatrix] { experts.flatMap(\.matrices) }

  /// The bank with other matrices of the same shapes, which may lie on several nodes where these are given; `replace` sees them in the order
  /// of `matrices`.
  package func replacingMatrices(on nodes: BankNodes? = nil, _ replace: (PackedMatrix) -> PackedMatrix) -> ExpertBank {
    var bank = self
    bank.experts = experts.map { $0.replacingMatrices { nodes == nil ? replace($0).gathered : replace($0) } }
    bank.nodes = nodes
    (bank.gateUpFormats, bank.downFormats) = roundedFormats(of: bank.experts)
    bank.borrowed = BorrowedExperts(bank.experts, nodes)
    return bank
  }

  /// A bank of some of the experts, in one place.
  package func part(_ chosen: [Int]) -> ExpertBank {
    var bank = self
    bank.experts = chosen.map { experts[$0].replacingMatrices(\.gathered) }
    bank.nodes = nil
    bank.borrowed = BorrowedExperts(bank.experts, nil)
    return bank
  }

  /// Number of experts.
  public var count: Int { experts.count }
  /// True when experts multiply by act(gate x).
  public var isGated: Bool { experts[0].gate != nil }
  /// Bytes of all packed matrices and biases.
  public var residentBytes: Int { experts.reduce(0) { $0 + $1.residentBytes } }
}

/// Formats of the matrices that kernels on rounded activations can read, where their format has them.
private func roundedFormats(of experts: [Expert]) -> (gateUp: [WeightFormat], down: [WeightFormat]) {
  func formats(of matrices: some Sequence<PackedMatrix>) -> [WeightFormat] {
    Set(matrices.lazy.filter(\.suitsRounded).map(\.format)).sorted { $0.index < $1.index }
  }
  return (formats(of: experts.lazy.flatMap { [$0.up, $0.gate].compactMap(\.self) }), formats(of: experts.lazy.map(\.down)))
}
