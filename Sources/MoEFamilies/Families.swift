// The families of config.json checkpoints. Keys, defaults and rules are those of each family's own configuration class.

internal import MoERouting

extension Family {
  /// Every family with a config.json; `docs/families.md` lists them.
  static let published: [Family] = softmaxFamilies + deepseekFamilies + otherFamilies

  private static let softmaxFamilies: [Family] = [
    Family(
      names: ["mixtral", "minimax", "minimax_text_01"], blocks: ["layers.{layer}.block_sparse_moe", "layers.{layer}.mlp"],
      intermediate: .key("intermediate_size", default: 14336), experts: .key("num_local_experts", "num_experts", default: 8),
      topK: .key("num_experts_per_tok", default: 2), router: RouterRule(score: .fixed(.softmax), norm: .init()),
      routerNames: RouterNames(weight: ["gate.weight"]), layouts: [.numbered, .fused]),
    qwen(["qwen2_moe"], experts: 60, topK: 4, intermediate: 1408, norm: false, shared: 5632),
    qwen(["qwen3_next", "qwen4_exp_text"], experts: 512, topK: 10, intermediate: 512, norm: true, shared: 512),
    qwen(["qwen3_5_moe_text", "qwen3_5_moe"], experts: 256, topK: 8, intermediate: 512, norm: nil, shared: 512),
    qwen(["mellum"], experts: 64, topK: 8, intermediate: 896, norm: true, shared: nil),
    qwen(["qwen3_moe"], experts: 128, topK: 8, intermediate: 768, norm: false, shared: nil),
    qwen(["qwen3_omni_moe_text"], experts: 128, topK: 8, intermediate: 768, norm: true, shared: nil),
    qwen(["qwen3_vl_moe_text", "qwen3_vl_moe"], experts: 60, topK: 4, intermediate: 1408, norm: nil, shared: nil),
    Family(
      names: ["olmoe"], blocks: ["layers.{layer}.mlp"], intermediate: .key("intermediate_size", default: 2048),
      experts: .key("num_experts", "num_local_experts", default: 64), topK: .key("num_experts_per_tok", default: 8),
      router: RouterRule(score: .fixed(.softmax), norm: .init(when: .key("norm_topk_prob", default: false))),
      routerNames: RouterNames(weight: ["gate.weight"]), layouts: [.projections, .fused]),
    Family(
      names: ["flex_olmo"], blocks: ["layers.{layer}.mlp"], intermediate: .key("intermediate_size", default: 11008),
      experts: .key("num_experts", "num_local_experts", default: 7), topK: .key("num_experts_per_tok", default: 5),
      router: RouterRule(score: .fixed(.softmax), norm: .init(when: .key("norm_topk_prob", default: false))),
      routerNames: RouterNames(weight: ["gate.weight"]), layouts: [.projections, .fused]),
    Family(
      names: ["jamba"], blocks: ["layers.{layer}.feed_forward"], intermediate: .key("intermediate_size", default: 14336),
      experts: .key("num_experts", "num_local_experts", default: 16), topK: .key("num_experts_per_tok", default: 2),
      router: RouterRule(score: .fixed(.softmax)), routerNames: RouterNames(weight: ["router.weight"]), layouts: [.projections, .fused]),
    Family(
      names: ["hunyuan_v1_moe"], blocks: ["layers.{layer}.mlp"], intermediate: .key("intermediate_size", default: 11008),
      experts: .key("num_experts", "num_local_experts", default: 1), topK: .key("moe_topk", "num_experts_per_tok", default: 1),
      router: RouterRule(score: .fixed(.softmax), norm: .init()), routerNames: RouterNames(weight: ["gate.wg.weight"]),
      layouts: [.projections, .fused],
      shared: SharedRule(names: .projections("shared_mlp."), intermediate: .key("intermediate_size", default: 11008))),
    Family(
      names: ["dbrx"], blocks: ["blocks.{layer}.ffn"], hidden: .key("d_model", "hidden_size", default: 2048),
      layers: .key("n_layers", "num_hidden_layers", default: 24), intermediate: .key("ffn_config.ffn_hidden_size", default: 3584),
      experts: .key("ffn_config.moe_num_experts", default: 4), topK: .key("ffn_config.moe_top_k", default: 1),
      router: RouterRule(score: .fixed(.softmax), norm: .init(p: .key("ffn_config.moe_normalize_expert_weights", default: 1))),
      routerNames: RouterNames(weight: ["router.layer.weight"]),
      layouts: [.flat(gate: "experts.mlp.w1", up: "experts.mlp.v1", down: "experts.mlp.w2")],
      activation: ActivationRule(keys: ["ffn_config.ffn_act_fn"])),
    Family(
      names: ["ernie4_5_moe"], blocks: ["layers.{layer}.mlp"], intermediate: .key("moe_intermediate_size", default: 1536),
      experts: .key("moe_num_experts", "num_experts", default: 64), topK: .key("moe_k", "num_experts_per_tok", default: 6),
      router: RouterRule(score: .fixed(.softmax), norm: .init(minimum: .key("moe_norm_min", default: 1e-12))),
      routerNames: RouterNames(
        weight: ["gate.weight"], choiceBias: ["moe_statics.e_score_correction_bias", "gate.moe_statics.e_score_correction_bias"],
        needsChoiceBias: .always),
      layouts: [.projections, .fused],
      shared: SharedRule(
        names: .projections("shared_experts."),
        intermediate: .key("moe_intermediate_size", default: 1536) * .key("moe_num_shared_experts", default: 2))),
    Family(
      names: ["bailing_moe"], blocks: ["layers.{layer}.mlp"], intermediate: .key("moe_intermediate_size"), experts: .key("num_experts"),
      topK: .key("num_experts_per_tok"),
      router: RouterRule(
        score: .fixed(.softmax), norm: .init(when: .key("norm_topk_prob", default: true)),
        scale: .key("routed_scaling_factor", default: 1)),
      routerNames: RouterNames(weight: ["gate.weight"]), layouts: [.projections, .fused],
      shared: SharedRule(
        names: .projections("shared_experts."),
        intermediate: .key("moe_intermediate_size") * .key("num_shared_experts", default: 0))),
    Family(
      names: ["longcat_flash"], blocks: ["layers.{layer}.mlp"], layers: .key("num_layers", "num_hidden_layers", default: 28),
      intermediate: .key("expert_ffn_hidden_size", "moe_intermediate_size", default: 2048),
      experts: .key("n_routed_experts", "num_local_experts", default: 512), identityExperts: .key("zero_expert_num", default: 256),
      topK: .key("moe_topk", "num_experts_per_tok", default: 12),
      router: RouterRule(score: .fixed(.softmax), scale: .key("routed_scaling_factor", default: 6)),
      routerNames: RouterNames(
        weight: ["router.classifier.weight"], choiceBias: ["router.e_score_correction_bias"], needsChoiceBias: .always),
      layouts: [.projections, .fused]),
    Family(
      names: ["phimoe"], blocks: ["layers.{layer}.block_sparse_moe", "layers.{layer}.mlp"],
      intermediate: .key("intermediate_size", default: 6400), experts: .key("num_local_experts", "num_experts", default: 16),
      topK: .key("num_experts_per_tok", default: 2),
      router: RouterRule(score: .fixed(.softmax), selection: .sparseMixer(epsilon: .key("router_jitter_noise", default: 0.01))),
      routerNames: RouterNames(weight: ["gate.weight", "router.weight"]), layouts: [.numbered, .fused]),
  ]

  /// Qwen MoE: norm nil means always; shared nil means no shared expert.
  private static func qwen(
    _ names: [String], experts: Int, topK: Int, intermediate: Int, norm: Bool?, shared: Int?
  ) -> Family {
    Family(
      names: names, blocks: ["layers.{layer}.mlp"], intermediate: .key("moe_intermediate_size", default: intermediate),
      experts: .key("num_experts", "num_local_experts", default: experts), topK: .key("num_experts_per_tok", default: topK),
      router: RouterRule(
        score: .fixed(.softmax), norm: .init(when: norm.map { .key("norm_topk_prob", default: $0) } ?? .always)),
      routerNames: RouterNames(weight: ["gate.weight"]),
      layouts: [
        .projections,
        names[0].hasPrefix("qwen3_vl")
          ? .fused(gateUp: "experts.gate_up_proj", down: "experts.down_proj", orientation: .inputMajor) : .fused,
      ],
      shared: shared.map {
        SharedRule(
          names: .projections("shared_expert."), intermediate: .key("shared_expert_intermediate_size", default: $0),
          gate: "shared_expert_gate.weight")
      })
  }

  private static let deepseekFamilies: [Family] = [
    Family(
      names: ["deepseek_v2", "deepseek", "deepseek_ocr2_text", "unlimited_ocr_text"], blocks: ["layers.{layer}.mlp"],
      intermediate: .key("moe_intermediate_size", default: 1407), experts: .key("n_routed_experts", "num_experts", default: 64),
      topK: .key("num_experts_per_tok"),
      router: RouterRule(
        score: .fixed(.softmax),
        groups: .init(
          when: .equals("topk_method", "group_limited_greedy"), count: .key("n_group"), kept: .key("topk_group"), score: .max, fill: 0),
        scale: .key("routed_scaling_factor", default: 1)),
      routerNames: RouterNames(weight: ["gate.weight"]), layouts: [.projections, .fused],
      shared: SharedRule(
        names: .projections("shared_experts."),
        intermediate: .key("moe_intermediate_size", default: 1407) * .key("n_shared_experts", default: 2))),
    deepseek(
      ["deepseek_v3", "deepseek_v32", "kimi_k2", "beam"], experts: 256, topK: 8, intermediate: 2048, groups: (8, 4), scale: 2.5),
    deepseek(
      ["glm4_moe", "glm4v_moe_text", "glm4v_moe", "solar_open"], experts: 128, topK: 8, intermediate: 1408, groups: (1, 1), scale: 1),
    deepseek(["exaone_moe"], experts: 64, topK: 8, intermediate: 1024, groups: (1, 1), scale: 2.5),
    deepseek(["kimi_linear"], experts: 256, topK: 8, intermediate: 1024, groups: (1, 1), scale: 2.446),
    deepseek(["mimo_v2_flash"], experts: 256, topK: 8, intermediate: 2048, groups: (1, 1), scale: 1, shared: nil),
    deepseek(["bailing_moe_v2"], experts: 256, topK: 8, intermediate: 512, groups: (8, 4), scale: 2.5),
    deepseek(["glm_moe_dsa"], experts: 256, topK: 8, intermediate: 2048, groups: (1, 1), scale: 2.5),
    deepseek(["glm4_moe_lite"], experts: 64, topK: 4, intermediate: 1536, groups: (1, 1), scale: 1.8),
    deepseek(["dots1"], experts: nil, topK: nil, intermediate: 1408, groups: (1, 1), scale: 1, norm: false, shared: nil),
    deepseek(["bailing_hybrid"], experts: 512, topK: 8, intermediate: 768, groups: (8, 4), scale: 2.5),
    Family(
      names: ["hy_v3"], blocks: ["layers.{layer}.mlp"], intermediate: .key("moe_intermediate_size", default: 1536),
      experts: .key("num_experts", "num_local_experts", default: 192), topK: .key("num_experts_per_tok", default: 8),
      router: RouterRule(score: .fixed(.sigmoid), norm: .init(epsilon: 1e-20), scale: .key("router_scaling_factor", default: 2.826)),
      routerNames: RouterNames(
        weight: ["router.gate.weight", "gate.weight"], choiceBias: ["expert_bias", "e_score_correction_bias"], needsChoiceBias: .always),
      layouts: [.projections, .fused],
      shared: SharedRule(
        names: .projections("shared_mlp."),
        intermediate: .nonZero(
          .key("moe_intermediate_size", default: 1536) * .key("num_shared_experts", default: 1),
          else: .key("intermediate_size", default: 13312)))),
    Family(
      names: ["afmoe"], blocks: ["layers.{layer}.mlp"], intermediate: .key("moe_intermediate_size", default: 1408),
      experts: .key("num_experts", default: 64), topK: .key("num_experts_per_tok", default: 6),
      router: RouterRule(score: .fixed(.sigmoid), norm: .init(epsilon: 1e-20), scale: .key("route_scale", default: 1)),
      routerNames: RouterNames(weight: ["router.gate.weight"], choiceBias: ["expert_bias"], needsChoiceBias: .always),
      layouts: [.projections, .fused],
      shared: SharedRule(
        names: .projections("shared_experts."),
        intermediate: .key("moe_intermediate_size", default: 1408) * .key("num_shared_experts", default: 2))),
    Family(
      names: ["minimax_m3_vl_text"], blocks: ["layers.{layer}.block_sparse_moe", "layers.{layer}.mlp"],
      intermediate: .key("intermediate_size", default: 3072), experts: .key("num_local_experts", default: 128),
      topK: .key("num_experts_per_tok", default: 4),
      router: RouterRule(score: .fixed(.sigmoid), norm: .init(), scale: .key("routed_scaling_factor", default: 2)),
      routerNames: RouterNames(weight: ["gate.weight"], choiceBias: ["e_score_correction_bias"], needsChoiceBias: .always),
      layouts: [.numbered, .fused],
      activation: ActivationRule(keys: [], limit: .key("swiglu_limit", default: 7), alpha: .key("swiglu_alpha", default: 1.702)),
      shared: SharedRule(
        names: .projections("shared_experts."), intermediate: .key("shared_intermediate_size", default: 3072))),
    Family(
      names: ["minimax_m2"], blocks: ["layers.{layer}.block_sparse_moe", "layers.{layer}.mlp"],
      intermediate: .key("intermediate_size", default: 1536), experts: .key("num_local_experts", "num_experts", default: 256),
      topK: .key("num_experts_per_tok", default: 8), router: RouterRule(score: .fixed(.sigmoid), norm: .init()),
      routerNames: RouterNames(weight: ["gate.weight"], choiceBias: ["e_score_correction_bias"], needsChoiceBias: .always),
      layouts: [.numbered, .fused]),
    Family(
      names: ["lfm2_moe"], blocks: ["layers.{layer}.feed_forward"], intermediate: .key("moe_intermediate_size", default: 1792),
      experts: .key("num_experts", default: 32), topK: .key("num_experts_per_tok", default: 4),
      router: RouterRule(
        score: .fixed(.sigmoid), norm: .init(when: .key("norm_topk_prob", default: true), epsilon: 1e-6),
        scale: .key("routed_scaling_factor", default: 1)),
      routerNames: RouterNames(
        weight: ["gate.weight"], choiceBias: ["expert_bias"], needsChoiceBias: .key("use_expert_bias", default: true)),
      layouts: [.numbered, .fused], activation: ActivationRule(keys: [])),
    Family(
      names: ["nemotron_h"], blocks: ["layers.{layer}.mixer"], intermediate: .key("moe_intermediate_size", default: 7688),
      experts: .key("n_routed_experts", "num_local_experts", default: 8), topK: .key("num_experts_per_tok", default: 2),
      router: deepseekRule(groups: (1, 1), scale: 1, norm: true),
      routerNames: RouterNames(weight: ["gate.weight"], choiceBias: ["gate.e_score_correction_bias"], needsChoiceBias: .always),
      layouts: [.split(gate: nil, up: "experts.{expert}.up_proj", down: "experts.{expert}.down_proj")],
      activation: ActivationRule(keys: ["mlp_hidden_act"], fallback: "relu2"),
      shared: SharedRule(
        names: .split(gate: nil, up: "shared_experts.up_proj", down: "shared_experts.down_proj"),
        intermediate: .key("moe_shared_expert_intermediate_size", default: 7688)),
      latent: LatentRule(size: .key("moe_latent_size", default: 0), into: "fc1_latent_proj", outOf: "fc2_latent_proj")),
    Family(
      names: ["deepseek_v4"], blocks: ["layers.{layer}.ffn", "layers.{layer}.mlp"],
      intermediate: .key("moe_intermediate_size", "intermediate_size", default: 2048),
      experts: .key("n_routed_experts", "num_local_experts", default: 256), topK: .key("num_experts_per_tok", default: 6),
      router: RouterRule(
        score: .named("scoring_func", default: .sqrtSoftplus), norm: .init(epsilon: 1e-20),
        scale: .key("routed_scaling_factor", default: 1.5)),
      routerNames: RouterNames(
        weight: ["gate.weight"], choiceBias: ["gate.bias", "gate.e_score_correction_bias"], needsChoiceBias: .always),
      layouts: [.numbered, .projections, .fused], activation: ActivationRule(limit: .key("swiglu_limit", default: 10)),
      shared: SharedRule(
        names: .split(gate: "shared_experts.w1", up: "shared_experts.w3", down: "shared_experts.w2"),
        intermediate: .key("moe_intermediate_size", "intermediate_size", default: 2048))),
  ]

  static func deepseekRule(groups: (Int, Int), scale: Double, norm: Bool) -> RouterRule {
    RouterRule(
      score: .fixed(.sigmoid),
      groups: .init(
        count: .key("n_group", "num_expert_group", default: groups.0), kept: .key("topk_group", default: groups.1), score: .topTwoSum,
        fill: -.infinity),
      norm: .init(when: .key("norm_topk_prob", alias: "moe_renormalize", default: norm), epsilon: 1e-20),
      scale: .key("routed_scaling_factor", default: scale))
  }

  /// DeepSeek-V3 routing; defaults differ from family to family.
  private static func deepseek(
    _ names: [String], experts: Int?, topK: Int?, intermediate: Int, groups: (Int, Int), scale: Double, norm: Bool = true,
    shared: Int? = 1
  ) -> Family {
    Family(
      names: names, blocks: ["layers.{layer}.mlp", "layers.{layer}.block_sparse_moe"],
      intermediate: .key("moe_intermediate_size", default: intermediate),
      experts: .key("n_routed_experts", "num_local_experts", "num_experts", default: experts),
      topK: .key("num_experts_per_tok", "num_experts_per_token", default: topK),
      router: deepseekRule(groups: groups, scale: scale, norm: norm),
      routerNames: RouterNames(
        weight: ["gate.weight"], choiceBias: ["gate.e_score_correction_bias", "gate.expert_bias", "e_score_correction_bias"],
        needsChoiceBias: .always),
      layouts: [.projections, .numbered, .fused],
      shared: SharedRule(
        names: .projections("shared_experts."),
        intermediate: .key("moe_intermediate_size", default: intermediate)
          * .key("n_shared_experts", "num_shared_experts", default: shared ?? 0)))
  }

  private static let otherFamilies: [Family] = [
    Family(
      names: ["gpt_oss"], blocks: ["layers.{layer}.mlp"], intermediate: .key("intermediate_size", default: 2880),
      experts: .key("num_local_experts", "num_experts", default: 128), topK: .key("num_experts_per_tok", default: 4),
      router: RouterRule(score: .fixed(.identity), weight: .softmaxOfSelected),
      routerNames: RouterNames(weight: ["router.weight"], bias: ["router.bias"]),
      layouts: [
        .fused(
          gateUp: "experts.gate_up_proj", down: "experts.down_proj", orientation: .inputMajor, arrangement: .interleaved)
      ],
      activation: ActivationRule(
        keys: [], limit: .key("swiglu_limit", default: 7), alpha: .key("swiglu_alpha", default: 1.702))),
    Family(
      names: ["llama4_text", "llama4"], blocks: ["layers.{layer}.feed_forward"], intermediate: .key("intermediate_size", default: 8192),
      experts: .key("num_local_experts", default: 16), topK: .key("num_experts_per_tok", default: 1),
      router: RouterRule(score: .fixed(.identity), weight: .sigmoidOfSelected), routerNames: RouterNames(weight: ["router.weight"]),
      layouts: [.fused(gateUp: "experts.gate_up_proj", down: "experts.down_proj", orientation: .inputMajor), .projections],
      weightOnInput: true,
      shared: SharedRule(names: .projections("shared_expert."), intermediate: .key("intermediate_size", default: 8192))),
    granite(["granitemoe"], shared: nil),
    granite(["granitemoeshared"], shared: 0),
    granite(["granitemoehybrid"], shared: 1024),
    Family(
      names: ["jetmoe"], blocks: ["layers.{layer}.mlp"], intermediate: .key("intermediate_size", default: 5632),
      experts: .key("num_local_experts", default: 8), topK: .key("num_experts_per_tok", default: 2),
      router: RouterRule(score: .fixed(.identity), weight: .softmaxOfSelected), routerNames: RouterNames(weight: ["router.layer.weight"]),
      layouts: [graniteLayout], activation: ActivationRule(keys: ["activation_function"]), outputBias: "bias"),
    Family(
      names: ["aria_text", "aria"], blocks: ["layers.{layer}.mlp"], intermediate: .key("intermediate_size", default: 4096),
      experts: .key("moe_num_experts", default: 8), topK: .key("moe_topk", default: 2),
      router: RouterRule(score: .fixed(.identity), weight: .softmaxOfSelected), routerNames: RouterNames(weight: ["router.weight"]),
      layouts: [.fused(gateUp: "experts.fc1.weight", down: "experts.fc2.weight", orientation: .inputMajor)],
      activation: ActivationRule(keys: []),
      shared: SharedRule(
        names: .projections("shared_experts."),
        intermediate: .key("intermediate_size", default: 4096) * .key("moe_num_shared_experts", default: 2),
        activation: ActivationRule())),
    Family(
      names: ["switch_transformers"], blocks: ["encoder.block.{layer}.layer.1.mlp", "decoder.block.{layer}.layer.2.mlp"],
      hidden: .key("d_model", "hidden_size", default: 768), layers: .key("num_layers", "num_hidden_layers", default: 12),
      intermediate: .key("d_ff", default: 2048), experts: .key("num_experts", default: 8), topK: 1,
      router: RouterRule(score: .fixed(.softmax), capacity: .perSequence(.key("expert_capacity", default: 64))),
      routerNames: RouterNames(weight: ["router.classifier.weight"], bias: ["router.classifier.bias"]),
      layouts: [.split(gate: nil, up: "experts.expert_{expert}.wi", down: "experts.expert_{expert}.wo")],
      activation: ActivationRule(keys: ["dense_act_fn"], fallback: "relu")),
    Family(
      names: ["nllb-moe"], blocks: ["encoder.layers.{layer}.ffn", "decoder.layers.{layer}.ffn"],
      hidden: .key("d_model", "hidden_size", default: 1024), layers: .key("encoder_layers", "num_hidden_layers", default: 12),
      intermediate: .key("encoder_ffn_dim", default: 4096), experts: .key("num_experts", default: 128), topK: 2,
      router: RouterRule(score: .fixed(.softmax), norm: .init(minimum: .constant(Double(Float.ulpOfOne))), capacity: .nllb),
      routerNames: RouterNames(weight: ["router.classifier.weight"], bias: ["router.classifier.bias"]),
      layouts: [.split(gate: nil, up: "experts.expert_{expert}.fc1", down: "experts.expert_{expert}.fc2")],
      activation: ActivationRule(keys: ["activation_function"], fallback: "relu"),
      outputScale: .oneMinus(.key("moe_token_dropout", default: 0.2))),
    Family(
      names: ["doge"], blocks: ["layers.{layer}.mlp"], intermediate: 1, experts: .key("num_experts", default: 16384),
      topK: .key("num_experts_per_tok", default: 64),
      router: RouterRule(
        score: .fixed(.identity), selection: .productKeys, weight: .softmaxOfSelected,
        norm: .init(when: .key("norm_topk_prob", default: false))),
      routerNames: RouterNames(weight: ["router_gate.weight"]),
      layouts: [.embedding(down: "down_embed.weight", up: "up_embed.weight")],
      shared: SharedRule(names: .projections(""), intermediate: .key("intermediate_size", default: 2048))),
  ]

  private static let graniteLayout = ExpertLayout.fused(
    gateUp: "input_linear.weight", down: "output_linear.weight", orientation: .outputMajor)

  private static func granite(_ names: [String], shared: Int?) -> Family {
    Family(
      names: names, blocks: ["layers.{layer}.block_sparse_moe"], intermediate: .key("intermediate_size", default: 11008),
      experts: .key("num_local_experts", default: 8), topK: .key("num_experts_per_tok", default: 2),
      router: RouterRule(score: .fixed(.identity), weight: .softmaxOfSelected),
      routerNames: RouterNames(weight: ["router.layer.weight", "router.weight"]), layouts: [graniteLayout, .fused],
      shared: shared.map {
        SharedRule(
          names: .fused(gateUp: "../shared_mlp.input_linear.weight", down: "../shared_mlp.output_linear.weight"),
          intermediate: .key("shared_intermediate_size", default: $0))
      })
  }
}
