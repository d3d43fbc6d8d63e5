// The families of the presets: published configuration keys and tensor names of one block.

import MoE

/// How a family's checkpoints describe and name an MoE block, on Hugging Face and in GGUF.
struct PublishedFamily: Sendable {
  /// `model_type`.
  let modelType: String
  /// GGUF's `general.architecture`.
  let architecture: String
  /// Prefix of the block's tensors in safetensors.
  let block: String
  var router = "gate"
  /// Names of one expert's gate, up and down, or none where all experts share one tensor.
  var experts: (gate: String, up: String, down: String) = ("gate_proj", "up_proj", "down_proj")
  /// True when plain weights of all experts lie in `gate_up_proj` and `down_proj`, input-major.
  var isFused = false
  /// True when router and experts have biases, and gate and up rows take turns (GPT-OSS).
  var hasBiases = false
  var hasChoiceBias = false
  /// Prefix of the shared expert in safetensors; empty for none.
  var shared = ""
  var hasSharedGate = false
  /// Key of the intermediate width in GGUF.
  var lengthKey = "expert_feed_forward_length"
  let config: @Sendable (Preset) -> [String: JSON]
  var gguf: @Sendable (Preset) -> [String: GGUFValue] = { _ in [:] }

  static let qwen3 = PublishedFamily(modelType: "qwen3_moe", architecture: "qwen3moe", block: "model.layers.0.mlp") { preset in
    ["num_experts": .integer(preset.experts), "moe_intermediate_size": .integer(preset.intermediate), "norm_topk_prob": .bool(true)]
  }

  static let qwen2 = PublishedFamily(
    modelType: "qwen2_moe", architecture: "qwen2moe", block: "model.layers.0.mlp", shared: "shared_expert", hasSharedGate: true
  ) { preset in
    [
      "num_experts": .integer(preset.experts), "moe_intermediate_size": .integer(preset.intermediate), "norm_topk_prob": .bool(false),
      "shared_expert_intermediate_size": .integer(preset.shared),
    ]
  }

  static let olmoe = PublishedFamily(
    modelType: "olmoe", architecture: "olmoe", block: "model.layers.0.mlp", lengthKey: "feed_forward_length"
  ) { preset in
    ["num_experts": .integer(preset.experts), "intermediate_size": .integer(preset.intermediate), "norm_topk_prob": .bool(false)]
  }

  static let mixtral = PublishedFamily(
    modelType: "mixtral", architecture: "llama", block: "model.layers.0.block_sparse_moe", experts: ("w1", "w3", "w2"),
    lengthKey: "feed_forward_length"
  ) { preset in
    ["num_local_experts": .integer(preset.experts), "intermediate_size": .integer(preset.intermediate)]
  }

  static let deepseekV2 = PublishedFamily(
    modelType: "deepseek_v2", architecture: "deepseek2", block: "model.layers.0.mlp", shared: "shared_experts"
  ) { preset in
    [
      "n_routed_experts": .integer(preset.experts), "moe_intermediate_size": .integer(preset.intermediate), "first_k_dense_replace": .integer(0),
      "n_shared_experts": .integer(preset.shared / preset.intermediate), "topk_method": .string("greedy"), "norm_topk_prob": .bool(false),
      "routed_scaling_factor": .number(1),
    ]
  } gguf: { preset in
    [
      "expert_shared_count": .u32(UInt32(preset.shared / preset.intermediate)), "expert_gating_func": .u32(1), "expert_weights_norm": .bool(false),
      "expert_weights_scale": .f32(1), "leading_dense_block_count": .u32(0),
    ]
  }

  static let deepseekV3 = PublishedFamily(
    modelType: "deepseek_v3", architecture: "deepseek2", block: "model.layers.0.mlp", hasChoiceBias: true, shared: "shared_experts"
  ) { preset in
    [
      "n_routed_experts": .integer(preset.experts), "moe_intermediate_size": .integer(preset.intermediate), "first_k_dense_replace": .integer(0),
      "n_shared_experts": .integer(preset.shared / preset.intermediate), "topk_method": .string("noaux_tc"), "scoring_func": .string("sigmoid"),
      "norm_topk_prob": .bool(true), "routed_scaling_factor": .number(2.5), "n_group": .integer(preset.groups?.count ?? 1),
      "topk_group": .integer(preset.groups?.kept ?? 1),
    ]
  } gguf: { preset in
    var keys: [String: GGUFValue] = [
      "expert_shared_count": .u32(UInt32(preset.shared / preset.intermediate)), "expert_gating_func": .u32(2), "expert_weights_norm": .bool(true),
      "expert_weights_scale": .f32(2.5), "leading_dense_block_count": .u32(0),
    ]
    if let groups = preset.groups {
      (keys["expert_group_count"], keys["expert_group_used_count"]) = (.u32(UInt32(groups.count)), .u32(UInt32(groups.kept)))
    }
    return keys
  }

  static let gptOSS = PublishedFamily(
    modelType: "gpt_oss", architecture: "gpt-oss", block: "model.layers.0.mlp", router: "router", isFused: true, hasBiases: true
  ) { preset in
    ["num_local_experts": .integer(preset.experts), "intermediate_size": .integer(preset.intermediate), "swiglu_limit": .number(7)]
  }

  static let llama4 = PublishedFamily(
    modelType: "llama4_text", architecture: "llama4", block: "language_model.model.layers.0.feed_forward", router: "router", isFused: true,
    shared: "shared_expert"
  ) { preset in
    ["num_local_experts": .integer(preset.experts), "intermediate_size": .integer(preset.intermediate)]
  }
}
