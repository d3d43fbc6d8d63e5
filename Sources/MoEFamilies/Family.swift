// What a model family is, as data: configuration keys, router rule, tensor names.

internal import MoERouting

/// One published family: everything that tells its MoE block from the others'.
struct Family: Sendable {
  /// `model_type` values (config.json) or architectures (GGUF).
  var names: [String]
  /// Where its MoE blocks lie, after any outer prefix; `{layer}` is the layer.
  var blocks: [String]
  var hidden: IntegerKey = .key("hidden_size")
  /// Keys of the number of layers; blocks beyond are multi-token-prediction extras.
  var layers: IntegerKey = .key("num_hidden_layers", default: 1 << 20)
  var intermediate: IntegerKey
  /// Real experts.
  var experts: IntegerKey
  /// Identity experts, ids after the real ones.
  var identityExperts: IntegerKey = 0
  var topK: IntegerKey
  var router: RouterRule
  var routerNames: RouterNames
  /// Ways in which its experts are stored; the first whose tensors are there is taken.
  var layouts: [ExpertLayout]
  var activation = ActivationRule()
  var weightOnInput = false
  var outputScale: NumberKey = 1.0
  var shared: SharedRule?
  var latent: LatentRule?
  /// Tensor added to the output of every token.
  var outputBias: String?
}

/// How the router's record is filled from a configuration.
struct RouterRule: Sendable {
  enum Score: Sendable {
    case fixed(RouterConfiguration.Score)
    /// config.json: "softmax", "sigmoid", "sqrtsoftplus".
    case named(String, default: RouterConfiguration.Score)
    /// GGUF `expert_gating_func`: 1 softmax, 2 sigmoid, 3 softmax of the selected.
    case gguf(default: Int)
  }
  enum Selection: Sendable {
    case topK
    case sparseMixer(epsilon: NumberKey)
    case productKeys
  }
  struct Groups: Sendable {
    var when: FlagKey = .always
    var count: IntegerKey
    var kept: IntegerKey
    var score: RouterConfiguration.Groups.Score
    var fill: Float
  }
  struct Norm: Sendable {
    var when: FlagKey = .always
    /// Order of the norm; a null value in the configuration means no norm.
    var p: NumberKey = 1.0
    var epsilon: Double = 0
    var minimum: NumberKey = 0.0
  }
  enum Capacity: Sendable {
    /// An absolute number a sequence, token after token.
    case perSequence(IntegerKey)
    /// A fraction of all tokens, else an absolute number, first choices first.
    case nllb
  }

  var score: Score
  var selection = Selection.topK
  var weight = RouterConfiguration.Weight.score
  var groups: Groups?
  var norm: Norm?
  var scale: NumberKey = 1.0
  var capacity: Capacity?
}

/// Names relative to the block; `../x` is a sibling of the block.
struct RouterNames: Sendable {
  /// Alternatives; the first that exists is taken.
  var weight: [String]
  var bias: [String] = []
  var choiceBias: [String] = []
  /// Whether a choice bias there has to be: nil when it may be left out, false when one that is there is not read.
  var needsChoiceBias: FlagKey?
}

/// Names and arrangement of the experts' matrices, relative to the block; `{expert}` is the expert.
enum ExpertLayout: Sendable {
  /// One linear layer a matrix: gate and up [I, H], down [H, I]; names without `.weight`, biases at `.bias`.
  case split(gate: String?, up: String, down: String)
  /// One tensor for all experts' gate and up.
  case fused(gateUp: String, down: String, orientation: Orientation, arrangement: Arrangement = .halves)
  /// One output-major tensor a projection for all experts: [E, I, H], [E, I, H], [E, H, I] (GGUF); biases at `.bias`.
  case stacked(gate: String?, up: String, down: String)
  /// Matrices of all experts below one another, all [E * I, H]; down is used untransposed.
  case flat(gate: String, up: String, down: String)
  /// One hidden unit an expert: rows of [E, H].
  case embedding(down: String, up: String)

  /// Whether rows of the tensor are outputs or inputs of the product.
  enum Orientation: Sendable { case outputMajor, inputMajor }
  /// Whether gate and up lie one after the other or take turns.
  enum Arrangement: Sendable { case halves, interleaved }
}

struct ActivationRule: Sendable {
  var keys = ["hidden_act"]
  var fallback = "silu"
  /// Clamp before the nonlinearity; nil keys for none.
  var limit: NumberKey?
  /// Set for GPT-OSS's (up + 1) * gate * sigmoid(alpha * gate).
  var alpha: NumberKey?
}

struct SharedRule: Sendable {
  /// Names of the linear layers, or one fused gate_up tensor [2S, H].
  enum Names: Sendable {
    case split(gate: String?, up: String, down: String)
    case fused(gateUp: String, down: String)
  }
  var names: Names
  /// Width, 0 for none; nil when only the tensors tell.
  var intermediate: IntegerKey?
  /// Weight [1, H] of a sigmoid gate on the output.
  var gate: String?
  var activation: ActivationRule?
}

struct LatentRule: Sendable {
  /// Width of the space the routed experts work in; absent for none.
  var size: IntegerKey
  var into: String
  var outOf: String
}

extension ExpertLayout {
  /// Published per-expert linear layers `experts.{expert}.<name>`.
  static func experts(_ gate: String, _ up: String, _ down: String) -> ExpertLayout {
    .split(gate: "experts.{expert}.\(gate)", up: "experts.{expert}.\(up)", down: "experts.{expert}.\(down)")
  }
  static let projections = experts("gate_proj", "up_proj", "down_proj")
  static let numbered = experts("w1", "w3", "w2")
  /// The fused names of transformers 5 in memory, also found on disk.
  static let fused = ExpertLayout.fused(gateUp: "experts.gate_up_proj", down: "experts.down_proj", orientation: .outputMajor)
}

extension SharedRule.Names {
  static func projections(_ prefix: String) -> SharedRule.Names {
    .split(gate: "\(prefix)gate_proj", up: "\(prefix)up_proj", down: "\(prefix)down_proj")
  }
}
