"""Tiny configurations of every MoE family and their descriptions.

Each `Case` gives the transformers model class, the configuration, the path of the
MoE block in the model and the normalized description ("spec") that is written
next to the tensors.
"""
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Case:
    name: str
    model_type: str
    cls: str                     # transformers model class
    cfg_cls: str
    cfg: dict
    path: str                    # MoE block inside the model (transformers module path)
    ckpt: str                    # the same block in the checkpoint
    H: int
    I: int
    E: int
    K: int
    router: dict
    experts: dict
    shared: Any = None
    extra: dict = field(default_factory=dict)   # output_bias, latent...
    extract: str = "lwi"
    folder: str = ""
    dtype: str = "f32"           # f32, bf16, f16: weights and run; bf16w, f16w: stored weights, float32 run
    scales: dict = field(default_factory=dict)
    seed: int = 1000
    min_gap: float = 1e-3
    logits_std: float = 1.5
    notes: list = field(default_factory=list)
    tokens: tuple = (2, 7)
    ckpt_prefix_note: str = ""


BASE = dict(vocab_size=32, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2,
            max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
MLA = dict(q_lora_rank=8, kv_lora_rank=8, qk_nope_head_dim=8, qk_rope_head_dim=8, v_head_dim=8, head_dim=8)


def R(kind, weight, E, **kw):
    d = dict(kind=kind, weight=weight, num_scores=E, num_experts_dense=E, bias=None, selection_bias=None,
             norm=None, scale=1.0)
    d.update(kw)
    return d


def split(p, gate="gate_proj", up="up_proj", down="down_proj", act="silu"):
    return dict(layout="split", activation=act, tensors=dict(
        gate=f"{p}.experts.{{e}}.{gate}.weight", up=f"{p}.experts.{{e}}.{up}.weight",
        down=f"{p}.experts.{{e}}.{down}.weight"))


def shared_mlp(p, inter, gate=None, act="silu", bias=False):
    t = {k: f"{p}.{k}_proj.weight" for k in ("gate", "up", "down")}
    if bias:
        t.update({f"{k}_bias": f"{p}.{k}_proj.bias" for k in ("gate", "up", "down")})
    return dict(activation=act, intermediate_size=inter, tensors=t, gate=gate)


def heads(H):
    """attention sizes that fit any hidden size"""
    return dict(hidden_size=H, head_dim=8) if H % 16 else dict(hidden_size=H)


# ------------------------------------------------------------------ families
def mixtral(H, I, E, K, **kw):
    p = "model.layers.0.block_sparse_moe"
    return Case("mixtral", "mixtral", "MixtralForCausalLM", "MixtralConfig",
                dict(BASE, **heads(H), intermediate_size=I, num_local_experts=E, num_experts_per_tok=K),
                "model.layers.0.mlp", p, H, I, E, K,
                R("softmax", f"{p}.gate.weight", E, norm={"p": 1.0}), split(p, "w1", "w3", "w2"), **kw)


def minimax(H, I, E, K, **kw):
    c = mixtral(H, I, E, K, **kw)
    c.name = c.model_type = "minimax"
    c.cls, c.cfg_cls = "MiniMaxForCausalLM", "MiniMaxConfig"
    c.cfg = dict(c.cfg, layer_types=["full_attention"], head_dim=8)
    return c


def minimax_m2(H, I, E, K, **kw):
    c = mixtral(H, I, E, K, **kw)
    p = c.ckpt
    c.name = c.model_type = "minimax_m2"
    c.cls, c.cfg_cls = "MiniMaxM2ForCausalLM", "MiniMaxM2Config"
    c.cfg = dict(c.cfg, head_dim=8)
    c.router = R("sigmoid", f"{p}.gate.weight", E, selection_bias=f"{p}.e_score_correction_bias", norm={"p": 1.0})
    c.notes = ["sigmoid scores; the bias changes the choice only; no scaling factor; bias sits beside the gate, not inside it"]
    return c


def qwen2_moe(H, I, E, K, S=None, norm=False, **kw):
    p = "model.layers.0.mlp"
    S = S or I * 2
    return Case("qwen2_moe", "qwen2_moe", "Qwen2MoeForCausalLM", "Qwen2MoeConfig",
                dict(BASE, **heads(H), moe_intermediate_size=I, intermediate_size=I, num_experts=E,
                     num_experts_per_tok=K, shared_expert_intermediate_size=S, norm_topk_prob=norm),
                p, p, H, I, E, K, R("softmax", f"{p}.gate.weight", E, norm={"p": 1.0} if norm else None),
                split(p), shared_mlp(f"{p}.shared_expert", S, gate=f"{p}.shared_expert_gate.weight"), **kw)


def qwen3_next(H, I, E, K, **kw):
    c = qwen2_moe(H, I, E, K, S=I, norm=True, **kw)
    c.name = c.model_type = "qwen3_next"
    c.cls, c.cfg_cls = "Qwen3NextForCausalLM", "Qwen3NextConfig"
    c.cfg = dict(c.cfg, layer_types=["full_attention"], head_dim=8, linear_num_key_heads=2, linear_num_value_heads=2,
                 linear_key_head_dim=8, linear_value_head_dim=8)
    return c


def qwen3_moe(H, I, E, K, norm=True, **kw):
    p = "model.layers.0.mlp"
    return Case("qwen3_moe", "qwen3_moe", "Qwen3MoeForCausalLM", "Qwen3MoeConfig",
                dict(BASE, hidden_size=H, head_dim=8, moe_intermediate_size=I, intermediate_size=I, num_experts=E,
                     num_experts_per_tok=K, norm_topk_prob=norm),
                p, p, H, I, E, K, R("softmax", f"{p}.gate.weight", E, norm={"p": 1.0} if norm else None), split(p), **kw)


def olmoe(H, I, E, K, norm=False, **kw):
    p = "model.layers.0.mlp"
    return Case("olmoe", "olmoe", "OlmoeForCausalLM", "OlmoeConfig",
                dict(BASE, hidden_size=H, intermediate_size=I, num_experts=E, num_experts_per_tok=K, norm_topk_prob=norm),
                p, p, H, I, E, K, R("softmax", f"{p}.gate.weight", E, norm={"p": 1.0} if norm else None), split(p), **kw)


def flex_olmo(H, I, E, K, **kw):
    c = olmoe(H, I, E, K, **kw)
    c.name = c.model_type = "flex_olmo"
    c.cls, c.cfg_cls = "FlexOlmoForCausalLM", "FlexOlmoConfig"
    return c


def deepseek_v2(H, I, E, K, method="greedy", n_group=None, topk_group=None, scale=1.0, S=2, **kw):
    p = "model.layers.0.mlp"
    r = R("softmax", f"{p}.gate.weight", E, scale=scale)
    if method == "group_limited_greedy":
        r.update(n_group=n_group, topk_group=topk_group, group_score="max", group_fill="0")
    return Case("deepseek_v2" + ("_group" if n_group else ""), "deepseek_v2", "DeepseekV2ForCausalLM", "DeepseekV2Config",
                dict(BASE, **MLA, hidden_size=H, intermediate_size=I, moe_intermediate_size=I, n_routed_experts=E,
                     n_shared_experts=S, num_experts_per_tok=K, topk_method=method, n_group=n_group,
                     topk_group=topk_group, routed_scaling_factor=scale, first_k_dense_replace=0, norm_topk_prob=False),
                p, p, H, I, E, K, r, split(p), shared_mlp(f"{p}.shared_experts", I * S), **kw)


def _v3(name, cls, cfg_cls, H, I, E, K, n_group, topk_group, scale, S, norm, cfg, bias_name=None, eps=1e-20,
        layer=0, **kw):
    p = f"model.layers.{layer}.mlp"
    r = R("sigmoid", f"{p}.gate.weight", E, selection_bias=bias_name or f"{p}.gate.e_score_correction_bias",
          norm={"p": 1.0, "eps": eps} if norm else None, scale=scale, n_group=n_group, topk_group=topk_group,
          group_score="top2_sum", group_fill="-inf")
    return Case(name, name, cls, cfg_cls, cfg, p, p, H, I, E, K, r, split(p),
                shared_mlp(f"{p}.shared_experts", I * S) if S else None, **kw)


def deepseek_v3(H, I, E, K, n_group=4, topk_group=2, scale=2.5, S=1, norm=True, **kw):
    cfg = dict(BASE, **MLA, hidden_size=H, intermediate_size=I, moe_intermediate_size=I, n_routed_experts=E,
               n_shared_experts=S, num_experts_per_tok=K, n_group=n_group, topk_group=topk_group,
               routed_scaling_factor=scale, first_k_dense_replace=0, norm_topk_prob=norm)
    return _v3("deepseek_v3", "DeepseekV3ForCausalLM", "DeepseekV3Config", H, I, E, K, n_group, topk_group, scale, S,
               norm, cfg, **kw)


def glm4_moe(H, I, E, K, n_group=1, topk_group=1, scale=1.0, S=1, norm=True, **kw):
    cfg = dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, moe_intermediate_size=I, n_routed_experts=E,
               n_shared_experts=S, num_experts_per_tok=K, n_group=n_group, topk_group=topk_group,
               routed_scaling_factor=scale, first_k_dense_replace=0, norm_topk_prob=norm)
    return _v3("glm4_moe", "Glm4MoeForCausalLM", "Glm4MoeConfig", H, I, E, K, n_group, topk_group, scale, S, norm, cfg, **kw)


def dots1(H, I, E, K, n_group=1, topk_group=1, scale=2.5, S=2, norm=True, **kw):
    cfg = dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, moe_intermediate_size=I, n_routed_experts=E,
               n_shared_experts=S, num_experts_per_tok=K, n_group=n_group, topk_group=topk_group,
               routed_scaling_factor=scale, first_k_dense_replace=0, norm_topk_prob=norm,
               layer_types=["full_attention"])
    return _v3("dots1", "Dots1ForCausalLM", "Dots1Config", H, I, E, K, n_group, topk_group, scale, S, norm, cfg, **kw)


def bailing_hybrid(H, I, E, K, n_group=4, topk_group=2, scale=2.5, S=1, norm=True, **kw):
    cfg = dict(BASE, **MLA, hidden_size=H, intermediate_size=I, moe_intermediate_size=I, num_experts=E,
               num_shared_experts=S, num_experts_per_token=K, num_expert_group=n_group, topk_group=topk_group,
               routed_scaling_factor=scale, first_k_dense_replace=0, moe_renormalize=norm, linear_num_heads=2,
               linear_head_dim=8, layer_group_size=1)
    cfg.pop("max_position_embeddings")
    return _v3("bailing_hybrid", "BailingHybridForCausalLM", "BailingHybridConfig", H, I, E, K, n_group, topk_group,
               scale, S, norm, cfg, bias_name="model.layers.0.mlp.gate.expert_bias", **kw)


def hy_v3(H, I, E, K, scale=2.826, S=1, **kw):
    p = "model.layers.0.mlp"
    c = Case("hy_v3", "hy_v3", "HYV3ForCausalLM", "HYV3Config",
             dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, moe_intermediate_size=I, num_experts=E,
                  num_experts_per_tok=K, num_shared_experts=S, router_scaling_factor=scale,
                  mlp_layer_types=["sparse"]),
             p, p, H, I, E, K,
             R("sigmoid", f"{p}.router.gate.weight", E, selection_bias=f"{p}.expert_bias",
               norm={"p": 1.0, "eps": 1e-20}, scale=scale),
             split(p), shared_mlp(f"{p}.shared_mlp", I * S), **kw)
    return c


def gpt_oss(H, I, E, K, limit=7.0, mxfp4=False, **kw):
    p = "model.layers.0.mlp"
    t = dict(gate_up=f"{p}.experts.gate_up_proj", gate_up_bias=f"{p}.experts.gate_up_proj_bias",
             down=f"{p}.experts.down_proj", down_bias=f"{p}.experts.down_proj_bias")
    kw.setdefault("scales", dict(gate_up=3.0, down=0.25))
    c = Case("gpt_oss" + ("_mxfp4" if mxfp4 else ""), "gpt_oss", "GptOssForCausalLM", "GptOssConfig",
             dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, num_local_experts=E, num_experts_per_tok=K,
                  swiglu_limit=limit, layer_types=["full_attention"]),
             p, p, H, I, E, K, R("topk_then_softmax", f"{p}.router.weight", E, bias=f"{p}.router.bias"),
             dict(layout="fused_in_out_interleaved", variant="gpt_oss", activation="gpt_oss", limit=limit, alpha=1.702,
                  tensors=t, quantization="mxfp4" if mxfp4 else None), **kw)
    c.notes = ["even columns of gate_up are the gate, odd ones the up projection",
               "gate is clamped from above only, up on both sides; (up + 1) * gate * sigmoid(alpha * gate)"]
    if mxfp4:
        c.notes.append("blocks/scales dequantize to [E, out, in]; transformers transposes to [E, in, out]")
    return c


def llama4(H, I, E, K, **kw):
    p = "model.layers.0.feed_forward"
    return Case("llama4", "llama4_text", "Llama4ForCausalLM", "Llama4TextConfig",
                dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, intermediate_size_mlp=I, num_local_experts=E,
                     num_experts_per_tok=K, layer_types=["full_attention"], attn_temperature_tuning=False),
                p, p, H, I, E, K, R("topk_then_sigmoid", f"{p}.router.weight", E),
                dict(layout="fused_in_out", activation="silu", weight_on_input=True,
                     tensors=dict(gate_up=f"{p}.experts.gate_up_proj", down=f"{p}.experts.down_proj")),
                shared_mlp(f"{p}.shared_expert", I), extract="llama4",
                notes=["the routing weight multiplies the expert INPUT", "multimodal checkpoints prefix every name with language_model."], **kw)


def phimoe(H, I, E, K, eps=0.01, **kw):
    p = "model.layers.0.block_sparse_moe"
    return Case("phimoe", "phimoe", "PhimoeForCausalLM", "PhimoeConfig",
                dict(BASE, **heads(H), intermediate_size=I, num_local_experts=E, num_experts_per_tok=K,
                     router_jitter_noise=eps),
                "model.layers.0.mlp", p, H, I, E, K,
                R("sparsemixer", f"{p}.gate.weight", E, jitter_eps=eps), split(p, "w1", "w3", "w2"),
                notes=["sparsemixer: two weights that do not sum to one; jitter_eps acts at inference too"], **kw)


def granitemoe(H, I, E, K, **kw):
    p = "model.layers.0.block_sparse_moe"
    return Case("granitemoe", "granitemoe", "GraniteMoeForCausalLM", "GraniteMoeConfig",
                dict(BASE, **heads(H), intermediate_size=I, num_local_experts=E, num_experts_per_tok=K),
                p, p, H, I, E, K, R("topk_then_softmax", f"{p}.router.layer.weight", E),
                dict(layout="fused_out_in", activation="silu",
                     tensors=dict(gate_up=f"{p}.input_linear.weight", down=f"{p}.output_linear.weight")), **kw)


def _granite_shared(c, name, cls, cfg_cls, S, cfg):
    c.name = c.model_type = name
    c.cls, c.cfg_cls = cls, cfg_cls
    c.cfg = dict(c.cfg, shared_intermediate_size=S, **cfg)
    c.shared = dict(activation="silu", intermediate_size=S, gate=None,
                    tensors=dict(gate_up="model.layers.0.shared_mlp.input_linear.weight",
                                 down="model.layers.0.shared_mlp.output_linear.weight"))
    c.extra["shared_path"] = "model.layers.0.shared_mlp"
    c.notes = ["shared_mlp is a sibling of block_sparse_moe in the decoder layer; output here = block_sparse_moe(x) + shared_mlp(x)"]
    return c


def granitemoeshared(H, I, E, K, S=None, **kw):
    return _granite_shared(granitemoe(H, I, E, K, **kw), "granitemoeshared", "GraniteMoeSharedForCausalLM",
                           "GraniteMoeSharedConfig", S or I * 2, {})


def granitemoehybrid(H, I, E, K, S=None, **kw):
    return _granite_shared(granitemoe(H, I, E, K, **kw), "granitemoehybrid", "GraniteMoeHybridForCausalLM",
                           "GraniteMoeHybridConfig", S or I * 2,
                           dict(layer_types=["full_attention"], mamba_n_heads=2, mamba_d_head=H, mamba_d_state=8))


def jetmoe(H, I, E, K, **kw):
    p = "model.layers.0.mlp"
    return Case("jetmoe", "jetmoe", "JetMoeForCausalLM", "JetMoeConfig",
                dict(BASE, hidden_size=H, kv_channels=8, intermediate_size=I, num_local_experts=E,
                     num_experts_per_tok=K),
                p, p, H, I, E, K, R("topk_then_softmax", f"{p}.router.layer.weight", E),
                dict(layout="fused_out_in", activation="silu",
                     tensors=dict(gate_up=f"{p}.input_linear.weight", down=f"{p}.output_linear.weight")),
                extra=dict(output_bias=f"{p}.bias"), extract="jetmoe",
                notes=["one bias vector is added to the summed output of the block"], **kw)


def dbrx(H, I, E, K, p_norm=1.0, **kw):
    p = "transformer.blocks.0.ffn"
    cfg = dict(d_model=H, n_heads=2, n_layers=1, max_seq_len=64, vocab_size=32,
               attn_config=dict(kv_n_heads=2, clip_qkv=None, rope_theta=10000.0),
               ffn_config=dict(ffn_hidden_size=I, moe_num_experts=E, moe_top_k=K,
                               moe_normalize_expert_weights=p_norm))
    return Case("dbrx", "dbrx", "DbrxForCausalLM", "DbrxConfig", cfg, p, p, H, I, E, K,
                R("softmax", f"{p}.router.layer.weight", E, norm={"p": p_norm} if p_norm else None),
                dict(layout="flat", activation="silu", tensors=dict(
                    gate=f"{p}.experts.mlp.w1", up=f"{p}.experts.mlp.v1", down=f"{p}.experts.mlp.w2")),
                extract="dbrx", notes=["w1, v1 and w2 are [E*I, H]; w2 is used untransposed", "weights are divided by their p-norm (moe_normalize_expert_weights is p)"], **kw)


def jamba(H, I, E, K, **kw):
    p = "model.layers.0.feed_forward"
    return Case("jamba", "jamba", "JambaForCausalLM", "JambaConfig",
                dict(BASE, hidden_size=H, intermediate_size=I, num_experts=E, num_experts_per_tok=K, attn_layer_offset=0,
                     attn_layer_period=1, expert_layer_offset=0, expert_layer_period=1, use_mamba_kernels=False,
                     mamba_d_state=4, mamba_dt_rank=4),
                p, p, H, I, E, K, R("softmax", f"{p}.router.weight", E), split(p), **kw)


def ernie4_5_moe(H, I, E, K, S=2, bias=False, norm_min=1e-12, **kw):
    p = "model.layers.0.mlp"
    return Case("ernie4_5_moe", "ernie4_5_moe", "Ernie4_5_MoeForCausalLM", "Ernie4_5_MoeConfig",
                dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, moe_intermediate_size=I, moe_num_experts=E,
                     moe_k=K, moe_num_shared_experts=S, moe_layer_start_index=0, moe_layer_end_index=0,
                     moe_norm_min=norm_min, use_bias=bias, mlp_layer_types=["sparse"]),
                p, p, H, I, E, K,
                R("softmax", f"{p}.gate.weight", E, selection_bias=f"{p}.moe_statics.e_score_correction_bias",
                  norm={"p": 1.0, "clamp_min": norm_min}),
                split(p), shared_mlp(f"{p}.shared_experts", I * S) if S else None,
                notes=["the bias is stored as [1, E] and is added to softmax probabilities for the choice only",
                       "the sum is clamped from below by moe_norm_min before the division"], **kw)


def hunyuan_v1_moe(H, I, E, K, **kw):
    p = "model.layers.0.mlp"
    return Case("hunyuan_v1_moe", "hunyuan_v1_moe", "HunYuanMoEV1ForCausalLM", "HunYuanMoEV1Config",
                dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, num_experts=E, moe_topk=K),
                p, p, H, I, E, K, R("softmax", f"{p}.gate.wg.weight", E, norm={"p": 1.0}), split(p),
                shared_mlp(f"{p}.shared_mlp", I), **kw)


def lfm2_moe(H, I, E, K, norm=True, scale=1.0, **kw):
    p = "model.layers.0.feed_forward"
    return Case("lfm2_moe", "lfm2_moe", "Lfm2MoeForCausalLM", "Lfm2MoeConfig",
                dict(BASE, hidden_size=H, intermediate_size=I, moe_intermediate_size=I, num_experts=E,
                     num_experts_per_tok=K, num_dense_layers=0, norm_topk_prob=norm, routed_scaling_factor=scale,
                     use_expert_bias=True, layer_types=["full_attention"]),
                p, p, H, I, E, K,
                R("sigmoid", f"{p}.gate.weight", E, selection_bias=f"{p}.expert_bias",
                  norm={"p": 1.0, "eps": 1e-6} if norm else None, scale=scale),
                split(p, "w1", "w3", "w2"), **kw)


def longcat_flash(H, I, E, K, Z=3, scale=2.0, **kw):
    p = "model.layers.0.mlp"
    ex = split(p)
    ex["num_zero_experts"] = Z
    return Case("longcat_flash", "longcat_flash", "LongcatFlashForCausalLM", "LongcatFlashConfig",
                dict({k: v for k, v in BASE.items() if k != "num_hidden_layers"}, **MLA, num_layers=1, hidden_size=H,
                     ffn_hidden_size=I, expert_ffn_hidden_size=I, n_routed_experts=E, moe_topk=K, zero_expert_num=Z,
                     routed_scaling_factor=scale),
                p, p, H, I, E, K,
                R("softmax", f"{p}.router.classifier.weight", E + Z,
                  selection_bias=f"{p}.router.e_score_correction_bias", scale=scale),
                ex, notes=["expert ids >= num_experts are zero-computation experts: their output is the input",
                           "no renormalization of the selected weights"], **kw)


def switch_transformers(H, I, E, K=1, capacity=2, act="relu", **kw):
    p = "encoder.block.0.layer.1.mlp"
    return Case("switch_transformers", "switch_transformers", "SwitchTransformersForConditionalGeneration",
                "SwitchTransformersConfig",
                dict(d_model=H, d_ff=I, d_kv=8, num_heads=2, num_layers=1, num_decoder_layers=1, num_sparse_encoder_layers=1,
                     num_sparse_decoder_layers=1, num_experts=E, expert_capacity=capacity, vocab_size=32,
                     dropout_rate=0.0, dense_act_fn=act),
                p, p, H, I, E, 1,
                R("switch_top1", f"{p}.router.classifier.weight", E, expert_capacity=capacity),
                dict(layout="split_ungated", activation=act, tensors=dict(
                    up=f"{p}.experts.expert_{{e}}.wi.weight", down=f"{p}.experts.expert_{{e}}.wo.weight")),
                extract="switch", notes=["capacity is counted per sequence in token order; a dropped token has weight 0 and gets a zero output here"], **kw)


def nllb_moe(H, I, E, K=2, frac=1.0, bpr=False, norm_before=False, dropout=0.2, **kw):
    p = "encoder.layers.0.ffn"
    return Case("nllb_moe", "nllb-moe", "NllbMoeModel", "NllbMoeConfig",
                dict(d_model=H, encoder_ffn_dim=I, decoder_ffn_dim=I, encoder_layers=1, decoder_layers=1,
                     encoder_attention_heads=2, decoder_attention_heads=2, encoder_sparse_step=1, decoder_sparse_step=1,
                     num_experts=E, expert_capacity=64, vocab_size=32, moe_eval_capacity_token_fraction=frac,
                     batch_prioritized_routing=bpr, normalize_router_prob_before_dropping=norm_before,
                     moe_token_dropout=dropout, dropout=0.0, activation_dropout=0.0, max_position_embeddings=64),
                p, p, H, I, E, 2,
                R("nllb_top2", f"{p}.router.classifier.weight", E, expert_capacity=64,
                  moe_eval_capacity_token_fraction=frac, batch_prioritized_routing=bpr,
                  normalize_before_dropping=norm_before),
                dict(layout="split_ungated", activation="relu", output_scale=1.0 - dropout, tensors=dict(
                    up=f"{p}.experts.expert_{{e}}.fc1.weight", up_bias=f"{p}.experts.expert_{{e}}.fc1.bias",
                    down=f"{p}.experts.expert_{{e}}.fc2.weight", down_bias=f"{p}.experts.expert_{{e}}.fc2.bias")),
                extract="nllb", notes=["expert outputs are multiplied by 1 - moe_token_dropout at inference",
                                       "second choices queue behind every first choice for capacity"], **kw)


def doge(H, I, E, K, norm=False, **kw):
    import math
    p = "model.layers.0.mlp"
    return Case("doge", "doge", "DogeForCausalLM", "DogeConfig",
                dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, is_moe=True, num_experts=E,
                     num_experts_per_tok=K, norm_topk_prob=norm),
                p, p, H, I, E, K,
                R("product_key", f"{p}.router_gate.weight", E, num_keys=math.isqrt(E), norm={"p": 1.0} if norm else None),
                dict(layout="embedding", activation="silu", tensors=dict(
                    down_embed=f"{p}.down_embed.weight", up_embed=f"{p}.up_embed.weight")),
                shared_mlp(p, I), extract="doge",
                notes=["the router output [tokens, 2*keys] is reinterpreted as [2, tokens, keys] in memory order, which mixes tokens; the fixture keeps this behaviour",
                       "each expert is a single hidden unit: silu(x . down_embed[e]) * up_embed[e]"], **kw)


def aria(H, I, E, K, S=2, **kw):
    p = "model.layers.0.mlp"
    return Case("aria", "aria_text", "AriaTextForCausalLM", "AriaTextConfig",
                dict(BASE, hidden_size=H, head_dim=8, intermediate_size=I, moe_num_experts=E, moe_topk=K,
                     moe_num_shared_experts=S),
                p, p, H, I, E, K, R("topk_then_softmax", f"{p}.router.weight", E),
                dict(layout="fused_in_out", activation="silu",
                     tensors=dict(gate_up=f"{p}.experts.fc1.weight", down=f"{p}.experts.fc2.weight")),
                shared_mlp(f"{p}.shared_experts", I * S),
                notes=["multimodal checkpoints prefix every name with language_model."], **kw)


def nemotron_h(H, I, E, K, n_group=1, topk_group=1, scale=2.5, latent=None, S=None, **kw):
    p = "model.layers.0.mixer"
    q = "backbone.layers.0.mixer"
    S = S or I + 8
    c = Case("nemotron_h" + ("_latent" if latent else ""), "nemotron_h", "NemotronHForCausalLM", "NemotronHConfig",
             dict({k: v for k, v in BASE.items() if k != "num_hidden_layers"}, hidden_size=H, head_dim=8,
                  layers_block_type=["moe"], intermediate_size=I, moe_intermediate_size=I, n_routed_experts=E,
                  moe_shared_expert_intermediate_size=S, num_experts_per_tok=K, n_group=n_group, topk_group=topk_group,
                  routed_scaling_factor=scale, moe_latent_size=latent, use_mamba_kernels=False),
             p, q, H, I, E, K,
             R("sigmoid", f"{q}.gate.weight", E, selection_bias=f"{q}.gate.e_score_correction_bias",
               norm={"p": 1.0, "eps": 1e-20}, scale=scale, n_group=n_group, topk_group=topk_group,
               group_score="top2_sum", group_fill="-inf"),
             dict(layout="split_ungated", activation="relu2", tensors=dict(
                 up=f"{q}.experts.{{e}}.up_proj.weight", down=f"{q}.experts.{{e}}.down_proj.weight")),
             dict(activation="relu2", intermediate_size=S, gate=None, tensors=dict(
                 up=f"{q}.shared_experts.up_proj.weight", down=f"{q}.shared_experts.down_proj.weight")), **kw)
    if latent:
        c.extra["latent"] = {"size": latent, "in": f"{q}.fc1_latent_proj.weight", "out": f"{q}.fc2_latent_proj.weight"}
        c.notes = ["routed experts work in a latent space of another width; router and shared expert see the hidden state"]
    return c


def deepseek_v4(H, I, E, K, limit=1.5, scale=1.5, **kw):
    p, q = "model.layers.0.mlp", "model.layers.0.ffn"
    sh = shared_mlp(f"{q}.shared_experts", I)
    sh["tensors"] = dict(gate=f"{q}.shared_experts.w1.weight", up=f"{q}.shared_experts.w3.weight",
                         down=f"{q}.shared_experts.w2.weight")
    sh["limit"] = limit
    ex = split(q, "w1", "w3", "w2")
    ex["limit"] = limit
    return Case("deepseek_v4", "deepseek_v4", "DeepseekV4ForCausalLM", "DeepseekV4Config",
                dict(BASE, num_hidden_layers=1, hidden_size=H, head_dim=16, qk_rope_head_dim=8, q_lora_rank=8,
                     o_lora_rank=8, o_groups=1, moe_intermediate_size=I, n_routed_experts=E, num_experts_per_tok=K,
                     swiglu_limit=limit, routed_scaling_factor=scale, mlp_layer_types=["moe"],
                     layer_types=["sliding_attention"], index_head_dim=8, index_n_heads=2, num_key_value_heads=1),
                p, q, H, I, E, K,
                R("sqrtsoftplus", f"{q}.gate.weight", E, selection_bias=f"{q}.gate.bias",
                  norm={"p": 1.0, "eps": 1e-20}, scale=scale),
                ex, sh, notes=["scores are sqrt(softplus(logits)); gate.bias changes the choice only",
                               "gate is clamped from above, up on both sides, before silu(gate) * up"], **kw)


def quantized(c, method, **kw):
    """expert and shared-expert projections stored quantized; router and gates stay float32"""
    c.name += "_" + method
    c.extra["quantization"] = dict(method=method, **kw)
    return c


# --------------------------------------------------------------------- cases
def renamed(c, suffix):
    c.name += suffix
    return c


def cases():
    """one case a family and variant, beside one another in the fixture folder"""
    A = (32, 24, 8, 2)
    out = [
        mixtral(*A), renamed(mixtral(32, 24, 4, 2, dtype="bf16", min_gap=0.03), "_bf16"),
        renamed(mixtral(32, 24, 4, 2, dtype="f16", min_gap=0.01), "_f16"),
        qwen2_moe(32, 24, 8, 4), renamed(qwen2_moe(32, 24, 6, 2, norm=True), "_norm"),
        qwen3_moe(32, 24, 16, 4), renamed(qwen3_moe(32, 24, 8, 2, norm=False), "_nonorm"),
        renamed(qwen3_moe(32, 24, 8, 2, dtype="bf16", min_gap=0.03), "_bf16"),
        olmoe(32, 24, 16, 4), renamed(olmoe(32, 24, 8, 3, norm=True), "_norm"),
        deepseek_v2(32, 24, 8, 3), deepseek_v2(32, 24, 12, 3, "group_limited_greedy", 4, 2, 2.0),
        deepseek_v3(32, 24, 16, 4), renamed(deepseek_v3(32, 24, 8, 2, 1, 1, 1.0, 1, False), "_nogroup"),
        gpt_oss(32, 24, 4, 2), gpt_oss(64, 32, 4, 2, mxfp4=True),
        renamed(gpt_oss(32, 24, 4, 2, dtype="bf16", min_gap=0.05), "_bf16"),
        llama4(32, 24, 8, 1), renamed(llama4(32, 24, 6, 2), "_top2"),
        phimoe(*A), renamed(phimoe(32, 24, 8, 2, eps=0.2), "_wide"),
        granitemoe(32, 24, 8, 3),
        dbrx(32, 24, 8, 3), renamed(dbrx(32, 24, 6, 2, p_norm=2.0), "_p2"),
        switch_transformers(32, 24, 4), renamed(switch_transformers(32, 24, 4, capacity=64), "_nodrop"),
    ]
    out += [quantized(deepseek_v3(32, 24, 8, 2, 2, 1), "fp8", block=[16, 16]),
            quantized(qwen3_moe(64, 32, 4, 2), "awq", group=32), quantized(qwen3_moe(64, 32, 4, 2), "gptq", group=32),
            quantized(qwen2_moe(64, 32, 4, 2), "ct_int4", group=32)]
    for i, c in enumerate(out):
        c.folder, c.seed = "", 1000 + 100 * i
    return out
