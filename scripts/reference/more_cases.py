"""More cases: every family at ordinary and awkward sizes, in low precision and quantized.

`KEPT` names those in Tests/Fixtures/families; `gguf_layers` are the GGUF files beside them.
"""
import families as F
from families import quantized

FLAT = ("mixtral minimax minimax_m2 qwen2_moe qwen3_next qwen3_moe olmoe flex_olmo deepseek_v2 hy_v3 gpt_oss llama4 "
        "granitemoe granitemoeshared granitemoehybrid jetmoe dbrx jamba ernie4_5_moe hunyuan_v1_moe lfm2_moe "
        "longcat_flash aria deepseek_v4").split()
GROUPED = "deepseek_v3 glm4_moe dots1 bailing_hybrid nemotron_h".split()


def named(c, name):
    c.name = name
    return c


def with_shared_bias(c):
    """the family function leaves the biases of the shared MLP out of the description"""
    c.shared = F.shared_mlp(f"{c.ckpt}.shared_experts", c.shared["intermediate_size"], bias=True)
    return c


def flat(f):
    fn = getattr(F, f)
    out = [named(fn(48, 32, 8, 2), f), named(fn(72, 40, 5, 3, tokens=(3, 5)), f + "_awkward"),
           named(fn(40, 24, 17, 4, tokens=(1, 1)), f + "_one"), named(fn(24, 8, 5, 5, tokens=(1, 3)), f + "_all")]
    return out


def grouped(f):
    fn = getattr(F, f)
    return [named(fn(48, 32, 12, 4, n_group=4, topk_group=2), f),
            named(fn(72, 40, 6, 3, n_group=3, topk_group=2, tokens=(3, 5)), f + "_awkward"),
            named(fn(40, 24, 16, 3, n_group=8, topk_group=3, tokens=(1, 1)), f + "_one"),
            named(fn(24, 8, 5, 5, n_group=1, topk_group=1, tokens=(1, 3)), f + "_all"),
            named(fn(32, 24, 17, 3, n_group=1, topk_group=1), f + "_e17")]


def variants():
    A, W = (32, 24, 8, 2), (72, 40, 5, 3)
    t35, t11 = dict(tokens=(3, 5)), dict(tokens=(1, 1))
    out = [
        named(F.qwen2_moe(*W, S=104, norm=True, **t35), "qwen2_moe_norm_awkward"),
        named(F.qwen3_moe(*W, norm=False), "qwen3_moe_nonorm"),
        named(F.olmoe(*W, norm=True), "olmoe_norm"), named(F.flex_olmo(*W, norm=True), "flex_olmo_norm"),
        named(F.deepseek_v2(72, 40, 6, 3, "group_limited_greedy", 3, 2, 1.7, S=3, **t35), "deepseek_v2_group_awkward"),
        named(F.deepseek_v2(32, 24, 16, 6, "group_limited_greedy", 8, 3, 16.0, S=1), "deepseek_v2_group8"),
        named(F.deepseek_v2(32, 24, 8, 2, scale=2.5), "deepseek_v2_scale"),
        named(F.deepseek_v3(72, 40, 6, 3, 3, 2, 2.5, 3, False, **t35), "deepseek_v3_nonorm_awkward"),
        named(F.glm4_moe(32, 24, 12, 4, 3, 2, 1.8, 2), "glm4_moe_groups"),
        named(F.glm4_moe(72, 40, 5, 3, scale=1.0, norm=False, **t35), "glm4_moe_nonorm"),
        named(F.dots1(72, 40, 5, 3, norm=False), "dots1_nonorm"),
        named(F.bailing_hybrid(72, 40, 6, 3, 2, 1, 2.5, 2, False), "bailing_hybrid_nonorm"),
        named(F.hy_v3(72, 40, 5, 3, S=2, **t35), "hy_v3_shared2"),
        named(F.gpt_oss(*W, limit=1.5, **t35), "gpt_oss_limit"),
        named(F.llama4(72, 40, 5, 1, **t35), "llama4_top1_awkward"),
        named(F.granitemoeshared(*W, S=56, **t35), "granitemoeshared_s56"),
        named(F.granitemoehybrid(*W, S=56, **t35), "granitemoehybrid_s56"),
        named(F.dbrx(*W, p_norm=2.0, **t35), "dbrx_p2_awkward"), named(F.dbrx(*W, p_norm=None), "dbrx_nonorm"),
        named(F.dbrx(32, 24, 6, 3, p_norm=3.0), "dbrx_p3"),
        with_shared_bias(named(F.ernie4_5_moe(*W, bias=True, **t35), "ernie4_5_moe_bias")),
        named(F.ernie4_5_moe(*W, S=0), "ernie4_5_moe_noshared"),
        named(F.ernie4_5_moe(32, 24, 8, 2, norm_min=0.9), "ernie4_5_moe_normmin"),
        named(F.lfm2_moe(*W, norm=False, scale=1.5, **t35), "lfm2_moe_nonorm_scale"),
        named(F.lfm2_moe(*A, scale=2.5), "lfm2_moe_scale"),
        named(F.longcat_flash(72, 40, 5, 3, Z=0, **t35), "longcat_flash_z0"),
        named(F.longcat_flash(32, 24, 5, 4, Z=11, scale=6.0), "longcat_flash_z11"),
        named(F.aria(*W, S=1), "aria_s1"), named(F.aria(*W, S=3, **t35), "aria_s3"),
        named(F.nemotron_h(48, 32, 8, 3, 2, 1, latent=16), "nemotron_h_latent_groups"),
        named(F.nemotron_h(72, 40, 5, 3, latent=24, S=56, **t35), "nemotron_h_latent_awkward"),
        named(F.nemotron_h(32, 24, 8, 2, 2, 1), "nemotron_h_groups2"),
        named(F.deepseek_v4(*W, limit=0.4, scale=2.5, **t35), "deepseek_v4_limit"),
        # phimoe: always two experts
        named(F.phimoe(48, 32, 8, 2), "phimoe"), named(F.phimoe(72, 40, 5, 2, **t35), "phimoe_awkward"),
        named(F.phimoe(40, 24, 16, 2, **t11), "phimoe_one"), named(F.phimoe(24, 8, 2, 2, tokens=(1, 3)), "phimoe_all"),
        named(F.phimoe(72, 40, 5, 2, eps=0.5), "phimoe_eps05"), named(F.phimoe(32, 24, 17, 2, eps=0.05), "phimoe_e17"),
        # switch: capacity per sequence
        named(F.switch_transformers(48, 32, 8), "switch_transformers"),
        named(F.switch_transformers(72, 40, 5, capacity=1, **t35), "switch_transformers_cap1"),
        named(F.switch_transformers(72, 40, 3, capacity=3, act="gelu_new", tokens=(2, 9)), "switch_transformers_gelu"),
        named(F.switch_transformers(40, 24, 17, capacity=1, **t11), "switch_transformers_one"),
        # nllb: capacity over all tokens
        named(F.nllb_moe(48, 32, 8), "nllb_moe"), named(F.nllb_moe(72, 40, 5, frac=0.3, **t35), "nllb_moe_frac"),
        named(F.nllb_moe(72, 40, 5, frac=0.25, bpr=True, **t35), "nllb_moe_bpr"),
        named(F.nllb_moe(72, 40, 5, frac=0.25, norm_before=True, **t35), "nllb_moe_norm_before"),
        named(F.nllb_moe(32, 24, 4, frac=0.2, bpr=True, norm_before=True, dropout=0.0), "nllb_moe_bpr_norm_before"),
        named(F.nllb_moe(32, 24, 4, frac=0.0), "nllb_moe_frac0"), named(F.nllb_moe(40, 24, 17, **t11), "nllb_moe_one"),
        named(F.nllb_moe(24, 8, 2, frac=0.5, tokens=(1, 3)), "nllb_moe_all"),
        # doge: number of experts must be a square
        named(F.doge(48, 32, 16, 4), "doge"), named(F.doge(72, 40, 9, 3, **t35), "doge_awkward"),
        named(F.doge(72, 40, 25, 5, norm=True, **t35), "doge_norm"), named(F.doge(40, 24, 16, 3, **t11), "doge_one"),
        named(F.doge(24, 8, 4, 4, tokens=(1, 3)), "doge_all"),
    ]
    # low precision
    lo = lambda dt: dict(dtype=dt, min_gap=0.03 if dt == "bf16" else 0.01 if dt == "f16" else 1e-3)
    for f, dts in (("qwen2_moe", ("bf16", "f16", "bf16w", "f16w")), ("deepseek_v4", ("bf16w", "f16w")),
                   ("llama4", ("bf16", "bf16w")), ("granitemoe", ("bf16", "f16w")), ("jetmoe", ("f16w",)),
                   ("dbrx", ("f16", "bf16w")), ("gpt_oss", ("f16", "bf16w", "f16w")), ("lfm2_moe", ("bf16w",)),
                   ("hunyuan_v1_moe", ("bf16w",)), ("aria", ("bf16", "f16w")), ("minimax_m2", ("bf16w",)),
                   ("ernie4_5_moe", ("bf16w",)), ("granitemoeshared", ("bf16w",)), ("longcat_flash", ("bf16w",)),
                   ("jamba", ("f16",))):
        for dt in dts:
            out.append(named(getattr(F, f)(72, 40, 4, 2, **lo(dt)), f"{f}_{dt}"))
    for dt in ("bf16", "f16", "bf16w", "f16w"):
        out.append(named(F.deepseek_v3(72, 40, 6, 2, 3, 2, **lo(dt)), f"deepseek_v3_{dt}"))
    out.append(named(F.nemotron_h(72, 40, 5, 2, dtype="bf16w"), "nemotron_h_bf16w"))
    out.append(named(F.phimoe(72, 40, 5, 2, dtype="f16w"), "phimoe_f16w"))
    out.append(named(F.switch_transformers(72, 40, 5, dtype="bf16w"), "switch_transformers_bf16w"))
    out.append(named(F.doge(72, 40, 16, 3, dtype="bf16w"), "doge_bf16w"))
    out.append(named(F.gpt_oss(96, 64, 5, 3, mxfp4=True, tokens=(3, 5)), "gpt_oss_mxfp4_awkward"))
    out.append(named(F.gpt_oss(32, 96, 6, 2, mxfp4=True, tokens=(1, 1)), "gpt_oss_mxfp4_one"))
    # quantized projections
    q = lambda c, n, m, **k: named(quantized(c, m, **k), n)
    out += [
        q(F.deepseek_v3(72, 40, 6, 3, 3, 2, tokens=(3, 5)), "deepseek_v3_fp8_edges", "fp8", block=[16, 16]),
        q(F.deepseek_v3(72, 40, 6, 3, 3, 2, S=3), "deepseek_v3_fp8_rect", "fp8", block=[32, 16]),
        q(F.deepseek_v3(40, 24, 5, 3, 1, 1), "deepseek_v3_fp8_big", "fp8", block=[128, 128]),
        q(F.qwen3_moe(72, 40, 5, 3), "qwen3_moe_fp8", "fp8", block=[16, 32]),
        q(F.qwen3_moe(96, 64, 5, 3), "qwen3_moe_awq_g32", "awq", group=32),
        q(F.qwen3_moe(64, 96, 5, 3), "qwen3_moe_awq_g16", "awq", group=16),
        q(F.qwen2_moe(96, 64, 5, 3, S=96), "qwen2_moe_awq", "awq", group=32),
        q(F.qwen3_moe(96, 64, 5, 3), "qwen3_moe_gptq_g32", "gptq", group=32),
        q(F.qwen3_moe(64, 48, 5, 3), "qwen3_moe_gptq_g16", "gptq", group=16),
        q(F.qwen3_moe(96, 64, 5, 3), "qwen3_moe_gptq_act", "gptq", group=32, act_order=True),
        q(F.qwen2_moe(64, 96, 5, 3), "qwen2_moe_gptq_act_g16", "gptq", group=16, act_order=True),
        q(F.qwen2_moe(96, 64, 5, 3, S=64), "qwen2_moe_ct_g32", "ct_int4", group=32),
        q(F.qwen3_moe(64, 48, 5, 3), "qwen3_moe_ct_g16", "ct_int4", group=16),
        q(F.deepseek_v3(64, 96, 6, 3, 3, 2), "deepseek_v3_ct_g16", "ct_int4", group=16),
        q(F.deepseek_v3(96, 64, 6, 3, 3, 2), "deepseek_v3_awq", "awq", group=32),
        q(F.glm4_moe(96, 64, 5, 3), "glm4_moe_gptq", "gptq", group=32),
    ]
    return out


KEPT = set("""
    aria_all aria_bf16 bailing_hybrid_all dbrx_all dbrx_p3 deepseek_v2_all deepseek_v2_awkward deepseek_v2_group8
    deepseek_v3_all deepseek_v3_awkward deepseek_v3_awq deepseek_v3_ct_g16 deepseek_v3_e17 deepseek_v3_fp8_big
    deepseek_v3_fp8_edges deepseek_v3_fp8_rect deepseek_v4_all deepseek_v4_limit doge_all doge_awkward doge_norm
    dots1_all dots1_e17 ernie4_5_moe_all ernie4_5_moe_bf16w ernie4_5_moe_normmin flex_olmo_all flex_olmo_norm
    glm4_moe_all glm4_moe_gptq glm4_moe_groups gpt_oss_all gpt_oss_limit gpt_oss_mxfp4_awkward gpt_oss_mxfp4_one
    granitemoe_all granitemoehybrid_all granitemoehybrid_awkward granitemoeshared_all hunyuan_v1_moe_all
    hunyuan_v1_moe_bf16w hy_v3_all hy_v3_one jamba_all jamba_f16 jetmoe_all jetmoe_f16w lfm2_moe_all lfm2_moe_scale
    llama4_all llama4_bf16 longcat_flash_all longcat_flash_z0 longcat_flash_z11 minimax_all minimax_m2_all
    minimax_m2_bf16w mixtral_all moe_iq2_xxs_iq3_s moe_iq4_nl_q5_1 moe_iq4_xs moe_mxfp4_odd moe_nvfp4 moe_qwen2_q5_1
    moe_tq2_0 nemotron_h_all nemotron_h_latent_awkward nemotron_h_latent_groups nllb_moe_all nllb_moe_bpr
    nllb_moe_bpr_norm_before nllb_moe_frac0 olmoe_all phimoe_all phimoe_eps05 qwen2_moe_all qwen2_moe_awkward
    qwen2_moe_awq qwen2_moe_ct_g32 qwen2_moe_gptq_act_g16 qwen3_moe_all qwen3_moe_awq_g16 qwen3_moe_fp8
    qwen3_moe_gptq_act qwen3_next_all qwen3_next_awkward switch_transformers_cap1 switch_transformers_gelu
""".split())


def cases(everything=False):
    """the kept cases, or all; a seed belongs to the position in the whole list"""
    out = [c for f in FLAT for c in flat(f)] + [c for f in GROUPED for c in grouped(f)] + variants()
    assert len({c.name for c in out}) == len(out), "duplicate names"
    for i, c in enumerate(out):
        c.folder, c.seed = "families", 50000 + 10 * i
    return [c for c in out if everything or c.name in KEPT]


GGUF_SEED = 931


def gguf_layers(layer):
    layer("moe_q2_k_q3_k", 256, 256, 3, 2, ("Q2_K", "Q3_K", "Q5_K"))
    layer("moe_iq4_xs", 256, 256, 2, 1, ("IQ4_XS", "IQ4_XS", "Q6_K"))
    layer("moe_iq2_xxs_iq3_s", 256, 256, 2, 1, ("IQ2_XXS", "IQ3_S", "IQ4_XS"))
    layer("moe_tq2_0", 256, 256, 3, 2, ("TQ2_0", "TQ1_0", "Q4_K"))
    layer("moe_iq4_nl_q5_1", 96, 64, 5, 3, ("IQ4_NL", "Q5_1", "Q5_0"))
    layer("moe_nvfp4", 128, 64, 5, 3, ("NVFP4", "NVFP4", "NVFP4"))
    layer("moe_mxfp4_odd", 96, 64, 5, 3, ("MXFP4", "MXFP4", "Q8_0"), N=15)
    layer("moe_f32", 72, 40, 5, 3, ("F32", "F16", "BF16"), N=1)
    layer("moe_qwen2_q5_1", 96, 64, 6, 3, ("Q5_1", "IQ4_NL", "Q4_1"), arch="qwen2moe", shared=True, N=15)
    layer("moe_qwen2_k", 256, 256, 3, 2, ("Q3_K", "Q5_K", "Q2_K"), arch="qwen2moe", shared=True)
    layer("moe_qwen2_noshared", 64, 96, 17, 4, ("Q8_0", "Q4_0", "Q8_0"), arch="qwen2moe")
