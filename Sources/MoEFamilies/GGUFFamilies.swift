// The architectures of GGUF checkpoints. Keys are those of the GGUF specification, without the architecture's prefix.

internal import MoERouting

extension Family {
  /// Every architecture with experts.
  static let gguf: [Family] = [
    gguf(["llama", "dbrx", "arctic", "qwen3moe", "qwen3vlmoe", "hunyuan-moe", "granitemoe", "granitehybrid", "rnd1"], norm: true),
    gguf(["qwen2moe"], norm: false, sharedGate: "ffn_gate_inp_shexp.weight"),
    gguf(["qwen3next", "qwen35moe"], norm: true, sharedGate: "ffn_gate_inp_shexp.weight"),
    gguf(["olmoe", "jamba", "deepseek", "deepseek2-ocr"], norm: false),
    gguf(["grok"], norm: true, activation: ActivationRule(keys: [], fallback: "gelu_pytorch_tanh")),
    gguf(["deepseek2"], norm: false),
    gguf(["bailingmoe"], norm: false),
    gguf(["ernie4_5-moe"], norm: true, minimum: 1e-12),
    gguf(["glm4moe", "bailingmoe2", "dots1", "minimax-m2", "exaone-moe", "afmoe", "kimi-linear", "mimo2", "glm-dsa"], gating: 2, norm: true, epsilon: 1e-20),
    gguf(["lfm2moe"], gating: 2, norm: true, epsilon: 1e-6),
    gguf(
      ["nemotron_h_moe"], gating: 2, norm: true, epsilon: 1e-20, gated: false,
      activation: ActivationRule(keys: [], fallback: "relu2"),
      latent: LatentRule(size: .key("moe_latent_size", default: 0), into: "ffn_latent_down", outOf: "ffn_latent_up")),
    gguf(
      ["gpt-oss"], gating: 3, norm: false, activation: ActivationRule(keys: [], limit: 7.0, alpha: 1.702)),
    gguf(["llama4"], norm: false, selection: .topK, weight: .sigmoidOfSelected, weightOnInput: true),
    gguf(["phimoe"], norm: false, selection: .sparseMixer(epsilon: 0.01)),
  ]

  private static func gguf(
    _ names: [String], gating: Int = 1, norm: Bool, epsilon: Double = 0, minimum: Double = 0, gated: Bool = true,
    activation: ActivationRule = ActivationRule(keys: []), selection: RouterRule.Selection = .topK,
    weight: RouterConfiguration.Weight = .score, weightOnInput: Bool = false, sharedGate: String? = nil,
    latent: LatentRule? = nil
  ) -> Family {
    Family(
      names: names, blocks: ["blk.{layer}"], hidden: .key("embedding_length"), layers: .key("block_count", default: 1 << 20),
      intermediate: .key("expert_feed_forward_length", "feed_forward_length"), experts: .key("expert_count"), topK: .key("expert_used_count"),
      router: RouterRule(
        score: weight == .score ? .gguf(default: gating) : .fixed(.identity), selection: selection, weight: weight,
        groups: .init(
          when: .exceeds("expert_group_count", 1), count: .key("expert_group_count", default: 1),
          kept: .key("expert_group_used_count", default: 1), score: .topTwoSum, fill: -.infinity),
        norm: .init(when: .key("expert_weights_norm", default: norm), epsilon: epsilon, minimum: .constant(minimum)),
        scale: .key("expert_weights_scale", default: 1)),
      routerNames: RouterNames(
        weight: ["ffn_gate_inp.weight"], bias: ["ffn_gate_inp.bias"], choiceBias: ["exp_probs_b.bias", "exp_probs_b"]),
      layouts: [
        .stacked(gate: gated ? "ffn_gate_exps" : nil, up: "ffn_up_exps", down: "ffn_down_exps"),
        .fused(gateUp: "ffn_gate_up_exps.weight", down: "ffn_down_exps.weight", orientation: .outputMajor),
        .split(gate: gated ? "ffn_gate.{expert}" : nil, up: "ffn_up.{expert}", down: "ffn_down.{expert}"),
      ],
      activation: activation, weightOnInput: weightOnInput,
      shared: SharedRule(
        names: .split(gate: gated ? "ffn_gate_shexp" : nil, up: "ffn_up_shexp", down: "ffn_down_shexp"), intermediate: nil,
        gate: sharedGate),
      latent: latent)
  }
}
