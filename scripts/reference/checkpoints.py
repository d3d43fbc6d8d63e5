"""Writes small whole checkpoint folders in the forms in which quantized MoE models are published.

    python checkpoints.py [--out DIR] [NAME ...]

DIR is Tests/Fixtures by default; folders go to DIR/checkpoints, `unknown_family` to Fixtures-negative beside DIR.

Every folder holds `config.json` (published field names, `quantization_config` as published), the MoE tensors of a
two-layer model (`model.safetensors`, or two shards and an index; attention, norms and embeddings are left out) and
`expected.safetensors` with, per MoE layer i: `io.layers.<i>.moe_input` [2, 7, hidden], `.moe_output`, `.router_logits`,
`.topk_indices` (by descending selection score) and `.topk_weights`. Results are float64 arithmetic on the dequantized
weights, stored as float32. All weights are random. Needs numpy and ml_dtypes.
"""
import argparse
import json
import os

import ml_dtypes
import numpy as np

BF16, E4M3 = np.dtype(ml_dtypes.bfloat16), np.dtype(ml_dtypes.float8_e4m3fn)
CODES = {np.dtype(k): v for k, v in (("f4", "F32"), ("f2", "F16"), ("i4", "I32"), ("i8", "I64"), ("u1", "U8"))}
CODES.update({BF16: "BF16", E4M3: "F8_E4M3"})
E2M1 = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float64)
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
                1.0], np.float32)
BATCH, TOKENS, MIN_GAP = 2, 7, 2e-3


# ------------------------------------------------------------------------------------------------ file format
def save(path, tensors, metadata=None):
    """a safetensors file; tensors in the order of their names"""
    head, blobs, at = ({"__metadata__": metadata} if metadata else {}), [], 0
    for name in sorted(tensors):
        a = np.ascontiguousarray(tensors[name]).reshape(np.shape(tensors[name]))
        blob = a.tobytes()
        head[name] = {"dtype": CODES[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + b"".join(blobs))


def save_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2, sort_keys=True)
        f.write("\n")


def bf16(x):
    return np.asarray(x, np.float32).astype(BF16)


# ------------------------------------------------------------------------------------------------ quantization
# every method: (generator, name of the linear layer, weight [out, in]) -> tensors, dequantized float64 [out, in]
def pack(q, axis, order=range(8)):
    """eight 4-bit values along `axis` per int32 word; nibble i holds element order[i]"""
    q = np.moveaxis(np.asarray(q), axis, -1)
    q = q.reshape(*q.shape[:-1], -1, 8)[..., list(order)].astype(np.uint32)
    words = np.bitwise_or.reduce(q << (4 * np.arange(8, dtype=np.uint32)), axis=-1).astype(np.uint32).view(np.int32)
    return np.moveaxis(words, -1, axis)


def plain(rng, name, w):
    w = bf16(w)
    return {name + ".weight": w}, w.astype(np.float64)


def affine(w_in_out, group_of, groups, sym):
    """asymmetric (or symmetric, zero 8) 4-bit values of a [in, out] matrix: codes, zeros, scales, values"""
    lo = np.stack([np.minimum(w_in_out[group_of == g].min(0), 0) for g in range(groups)])
    hi = np.stack([np.maximum(w_in_out[group_of == g].max(0), 0) for g in range(groups)])
    if sym:
        scale = (np.maximum(hi / 7, -lo / 8)).astype(np.float16)
        zero = np.full(scale.shape, 8)
    else:
        scale = ((hi - lo) / 15).astype(np.float16)
        zero = np.clip(np.rint(-lo / scale.astype(np.float64)), 1, 15).astype(int)
    s, z = scale.astype(np.float64)[group_of], zero[group_of]
    q = np.clip(np.rint(w_in_out / s) + z, 0, 15).astype(int)
    return q, zero, scale, (q - z) * s


def awq(group):
    def f(rng, name, w):
        K = w.shape[1]
        q, z, s, v = affine(w.T, np.arange(K) // group, K // group, False)
        order = [0, 2, 4, 6, 1, 3, 5, 7]
        return {name + ".qweight": pack(q, 1, order), name + ".qzeros": pack(z, 1, order), name + ".scales": s}, v.T
    return f


def gptq(group, desc_act=False, sym=False, zero_offset=1):
    """zero_offset: 1 for checkpoint_format "gptq" (stored zero minus one), 0 for "gptq_v2" """
    def f(rng, name, w):
        K = w.shape[1]
        g_idx = np.arange(K) // group
        if desc_act:
            g_idx = rng.permutation(g_idx)
        q, z, s, v = affine(w.T, g_idx, K // group, sym)
        return {name + ".qweight": pack(q, 0), name + ".qzeros": pack(z - zero_offset, 1), name + ".scales": s,
                name + ".g_idx": g_idx.astype(np.int32)}, v.T
    return f


def pack_quantized(group):
    def f(rng, name, w):
        N, K = w.shape
        s = bf16(np.abs(w.reshape(N, K // group, group)).max(-1) / 7.5)
        wide = np.repeat(s.astype(np.float64), group, 1)
        q = np.clip(np.rint(w / wide), -8, 7).astype(int)
        return {name + ".weight_packed": pack(q + 8, 1), name + ".weight_scale": s,
                name + ".weight_shape": np.array([N, K], np.int64)}, q * wide
    return f


def fp8_block(rows, cols):
    def f(rng, name, w):
        N, K = w.shape
        s = np.zeros((-(-N // rows), -(-K // cols)), np.float32)
        for i in range(s.shape[0]):
            for j in range(s.shape[1]):
                s[i, j] = np.abs(w[i * rows:(i + 1) * rows, j * cols:(j + 1) * cols]).max() / 448
        wide = np.repeat(np.repeat(s, rows, 0), cols, 1)[:N, :K]
        q = (w / wide).astype(np.float32).astype(E4M3)
        return {name + ".weight": q, name + ".weight_scale_inv": s}, q.astype(np.float64) * wide
    return f


def nearest(table, x):
    """index of the nearest entry of an ascending table"""
    return np.abs(np.asarray(x)[..., None] - table).argmin(-1)


def dynamic_map():
    """the 256 values of the signed dynamic 8-bit type with 7 exponent bits, ascending"""
    v = [0.0, 1.0]
    for i in range(7):
        edge = np.linspace(0.1, 1, 2**i + 1, dtype=np.float32)
        mean = (edge[:-1] + edge[1:]) / 2 * 10.0 ** (i - 6)
        v += [*mean, *-mean]
    return np.sort(np.array(v, np.float32))


def nf4(double, block=64, nested_block=256):
    def f(rng, name, w):
        flat = np.asarray(w, np.float32).reshape(-1, block)
        absmax = np.abs(flat).max(1)
        p = name + ".weight"
        state = {"quant_type": "nf4", "blocksize": block, "dtype": "bfloat16", "shape": list(w.shape)}
        out = {}
        if double:  # the scales themselves are stored in 8 bits, without their mean
            table, offset = dynamic_map(), np.float32(absmax.mean())
            rest = absmax - offset
            blocks = [rest[i:i + nested_block] for i in range(0, len(rest), nested_block)]
            top = np.array([np.abs(b).max() for b in blocks], np.float32)
            codes = np.concatenate([nearest(table, b / t) for b, t in zip(blocks, top)]).astype(np.uint8)
            out.update({p + ".absmax": codes, p + ".nested_absmax": top, p + ".nested_quant_map": table})
            state.update(nested_blocksize=nested_block, nested_dtype="float32", nested_offset=float(offset))
            scale = table[codes].astype(np.float64) * np.repeat(top, nested_block)[:len(codes)] + float(offset)
        else:
            out[p + ".absmax"] = absmax
            scale = absmax.astype(np.float64)
        q = nearest(NF4, flat / absmax[:, None]).astype(np.uint8).reshape(-1)
        out[p] = ((q[0::2] << 4) | q[1::2]).reshape(-1, 1)
        out[p + ".quant_map"] = NF4
        out[p + ".quant_state.bitsandbytes__nf4"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
        return out, (NF4[q].astype(np.float64).reshape(-1, block) * scale[:, None]).reshape(w.shape)
    return f


def e2m1_codes(x):
    """nearest 4-bit float; the sign is bit 3"""
    return (nearest(E2M1[:8], np.abs(x)) | (np.signbit(x) << 3)).astype(np.uint8)


def nvfp4(rng, name, w):
    N, K = w.shape
    g = np.float32(np.abs(w).max() / (6 * 448))
    s = (np.abs(w.reshape(N, -1, 16)).max(-1) / 6 / g).astype(np.float32).astype(E4M3)
    wide = np.repeat(s.astype(np.float64), 16, 1) * float(g)
    q = e2m1_codes(w / wide)
    return {name + ".weight": q[:, 0::2] | (q[:, 1::2] << 4), name + ".weight_scale": s,
            name + ".weight_scale_2": np.array(g), name + ".input_scale": np.array(rng.uniform(1e-3, 2e-3), np.float32)
            }, E2M1[q] * wide


def mxfp4(w):
    """w [..., in] -> blocks [..., in / 32, 16], scales [..., in / 32], values"""
    v = w.reshape(*w.shape[:-1], -1, 32)
    e = np.ceil(np.log2(np.abs(v).max(-1) / 6)).astype(int)
    q = e2m1_codes(v / np.exp2(e)[..., None])
    return q[..., 0::2] | (q[..., 1::2] << 4), (e + 127).astype(np.uint8), (E2M1[q] * np.exp2(e)[..., None]).reshape(w.shape)


# ------------------------------------------------------------------------------------------------ layers
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def select(choice, k):
    """indices by descending value, and the smallest distance between the last selected and the first rejected"""
    order = np.argsort(-choice, axis=1, kind="stable")
    s = np.take_along_axis(choice, order, 1)
    gap = (s[:, k - 1] - s[:, k])[np.isfinite(s[:, k])].min(initial=np.inf) if k < s.shape[1] else np.inf
    return order[:, :k], gap


class Layer:
    """float64 weights of one MoE layer and its result"""

    def __init__(self, top_k, router, norm=True, bias=None, linear_bias=None, kind="softmax", groups=None, scale=1.0):
        self.k, self.router, self.norm, self.bias, self.linear_bias = top_k, router, norm, bias, linear_bias
        self.kind, self.groups, self.scale = kind, groups, scale
        self.experts, self.shared, self.shared_gate, self.weight_on_input = [], None, None, False

    def route(self, x):
        logits = x @ self.router.T + (0 if self.linear_bias is None else self.linear_bias)
        gap = np.inf
        score = {"softmax": softmax, "sigmoid": sigmoid}.get(self.kind, lambda v: v)(logits)
        choice = score if self.bias is None else score + self.bias
        if self.groups:
            n, best = self.groups
            per = choice.reshape(len(x), n, -1)
            of = np.sort(per, -1)[..., -2:].sum(-1)
            chosen, gap = select(of, best)
            keep = np.zeros(of.shape, bool)
            np.put_along_axis(keep, chosen, True, 1)
            choice = np.where(keep[..., None], per, -np.inf).reshape(choice.shape)
        idx, g = select(choice, self.k)
        w = np.take_along_axis(score, idx, 1)
        if self.kind == "topk_softmax":
            w = softmax(w)
        elif self.kind == "topk_sigmoid":
            w = sigmoid(w)
        elif self.norm:
            w = w / w.sum(-1, keepdims=True)
        return logits, idx, w * self.scale, min(gap, g)

    def __call__(self, x):
        logits, idx, w, gap = self.route(x)
        y = np.zeros_like(x)
        for t in range(len(x)):
            for e, c in zip(idx[t], w[t]):
                f = self.experts[e]
                y[t] += f(c * x[t]) if self.weight_on_input else c * f(x[t])
        if self.shared:
            s = np.stack([self.shared(v) for v in x])
            y += s if self.shared_gate is None else s * sigmoid(x @ self.shared_gate.T)
        return logits, idx, w, y, gap


def glu(gate, up, down):
    return lambda x: down @ (silu(gate @ x) * (up @ x))


class Folder:
    """collects the tensors and the expected results of one checkpoint"""

    def __init__(self, name, seed, config, shards=1, extra=()):
        self.name, self.seed, self.config, self.shards, self.extra = name, seed, config, shards, dict(extra)
        self.rng = np.random.default_rng(seed)
        self.tensors, self.layers = {}, {}

    def random(self, *shape, std=None):
        return (self.rng.standard_normal(shape) * (std or shape[-1] ** -0.5)).astype(np.float32)

    def linear(self, name, out, inp, method, std=None):
        t, v = method(self.rng, name, self.random(out, inp, std=std).astype(np.float64))
        self.tensors.update(t)
        return v

    def mlp(self, base, hidden, inter, method, names=("gate_proj", "up_proj", "down_proj")):
        g, u, d = names
        return glu(self.linear(f"{base}.{g}", inter, hidden, method), self.linear(f"{base}.{u}", inter, hidden, method),
                   self.linear(f"{base}.{d}", hidden, inter, method, std=2 * inter**-0.5))

    def gate(self, name, experts, hidden, method=plain):
        return self.linear(name, experts, hidden, method, std=1.5 * hidden**-0.5)

    def moe(self, index, layer, base, hidden, inter, experts, method, **names):
        layer.experts = [self.mlp(f"{base}.experts.{e}", hidden, inter, method, **names) for e in range(experts)]
        self.layers[index] = layer

    def write(self, out):
        hidden = (self.config.get("text_config") or self.config)["hidden_size"]
        io, worst = {}, np.inf
        for i, layer in self.layers.items():
            for attempt in range(10000):
                x = self.random(BATCH, TOKENS, hidden, std=1.0)
                logits, idx, w, y, gap = layer(x.astype(np.float64).reshape(-1, hidden))
                if gap > MIN_GAP:
                    break
            else:
                raise RuntimeError(f"{self.name}: no input with a selection gap above {MIN_GAP}")
            worst = min(worst, gap)
            p = f"io.layers.{i}."
            io.update({p + "moe_input": x, p + "moe_output": y.reshape(x.shape).astype(np.float32),
                       p + "router_logits": logits.astype(np.float32), p + "topk_indices": idx.astype(np.int32),
                       p + "topk_weights": w.astype(np.float32)})
        d = os.path.join(out, self.name)
        os.makedirs(d, exist_ok=True)
        spec = {"min_selection_gap": float(min(worst, 1e9)), "seed": self.seed}
        save(os.path.join(d, "expected.safetensors"), io, {"spec": json.dumps(spec, sort_keys=True)})
        save_json(os.path.join(d, "config.json"), self.config)
        for file, value in self.extra.items():
            save_json(os.path.join(d, file), value)
        self.write_tensors(d)
        print(f"{self.name:32s} {len(self.tensors):4d} tensors, layers {sorted(self.layers)}, gap {worst:.4f}")

    def write_tensors(self, d):
        if self.shards == 1:
            return save(os.path.join(d, "model.safetensors"), self.tensors, {"format": "pt"})
        names, index, total = sorted(self.tensors), {}, 0
        for s in range(self.shards):  # an arbitrary cut, inside a layer and inside a quantized matrix
            file = f"model-{s + 1:05d}-of-{self.shards:05d}.safetensors"
            part = names[s * len(names) // self.shards:(s + 1) * len(names) // self.shards]
            save(os.path.join(d, file), {n: self.tensors[n] for n in part}, {"format": "pt"})
            index.update({n: file for n in part})
            total += sum(self.tensors[n].nbytes for n in part)
        save_json(os.path.join(d, "model.safetensors.index.json"),
                  {"metadata": {"total_size": total}, "weight_map": index})


# ------------------------------------------------------------------------------------------------ families
COMMON = dict(hidden_act="silu", initializer_range=0.02, max_position_embeddings=64, num_attention_heads=4,
              num_hidden_layers=2, num_key_value_heads=2, rms_norm_eps=1e-06, rope_theta=10000.0,
              tie_word_embeddings=False, torch_dtype="bfloat16", transformers_version="4.51.0", use_cache=True, vocab_size=64)


def with_quantization(config, q):
    return {**config, "quantization_config": q} if q else config


def qwen3_moe(name, seed, q, methods, H=64, I=32, E=6, K=2, config=None, **kw):
    """methods: one per layer"""
    c = dict(COMMON, architectures=["Qwen3MoeForCausalLM"], attention_bias=False, decoder_sparse_step=1, head_dim=16,
             hidden_size=H, intermediate_size=3 * I, mlp_only_layers=[], model_type="qwen3_moe", moe_intermediate_size=I,
             norm_topk_prob=True, num_experts=E, num_experts_per_tok=K, output_router_logits=False, rope_scaling=None,
             router_aux_loss_coef=0.001, sliding_window=None, use_sliding_window=False)
    c.update(config or {})
    f = Folder(name, seed, with_quantization(c, q), **kw)
    for i, method in enumerate(methods):
        p = f"model.layers.{i}.mlp"
        f.moe(i, Layer(K, f.gate(p + ".gate", E, H)), p, H, I, E, method)
    return f


def qwen2_moe(name, seed, q, method, H=64, I=32, S=96, E=5, K=3, **kw):
    """layer 0 is dense (mlp_only_layers); the selected weights are not normalized"""
    c = dict(COMMON, architectures=["Qwen2MoeForCausalLM"], decoder_sparse_step=1, hidden_size=H, intermediate_size=64,
             max_window_layers=2, mlp_only_layers=[0], model_type="qwen2_moe", moe_intermediate_size=I,
             norm_topk_prob=False, num_experts=E, num_experts_per_tok=K, shared_expert_intermediate_size=S,
             sliding_window=None, use_sliding_window=False)
    f = Folder(name, seed, with_quantization(c, q), **kw)
    f.mlp("model.layers.0.mlp", H, 64, method)
    p = "model.layers.1.mlp"
    layer = Layer(K, f.gate(p + ".gate", E, H), norm=False)
    layer.shared = f.mlp(p + ".shared_expert", H, S, method)
    layer.shared_gate = f.linear(p + ".shared_expert_gate", 1, H, plain)
    f.moe(1, layer, p, H, I, E, method)
    return f


def deepseek_v3(name, seed, q, method, H=72, I=40, E=6, K=2, **kw):
    """layer 0 is dense (first_k_dense_replace), 6 experts in 3 groups; sizes are no multiples of the block"""
    c = dict(COMMON, architectures=["DeepseekV3ForCausalLM"], attention_bias=False, ep_size=1, first_k_dense_replace=1,
             hidden_size=H, intermediate_size=88, kv_lora_rank=16, model_type="deepseek_v3", moe_intermediate_size=I,
             moe_layer_freq=1, n_group=3, n_routed_experts=E, n_shared_experts=1, norm_topk_prob=True,
             num_experts_per_tok=K, num_key_value_heads=4, num_nextn_predict_layers=0, q_lora_rank=16,
             qk_nope_head_dim=16, qk_rope_head_dim=8, routed_scaling_factor=2.5, scoring_func="sigmoid", topk_group=2,
             topk_method="noaux_tc", v_head_dim=16)
    f = Folder(name, seed, with_quantization(c, q), **kw)
    f.mlp("model.layers.0.mlp", H, 88, method)
    p = "model.layers.1.mlp"
    bias = (0.15 * f.rng.standard_normal(E)).astype(np.float32)
    f.tensors[p + ".gate.e_score_correction_bias"] = bias
    layer = Layer(K, f.gate(p + ".gate", E, H), kind="sigmoid", bias=bias.astype(np.float64), groups=(3, 2), scale=2.5)
    layer.shared = f.mlp(p + ".shared_experts", H, I, method)
    f.moe(1, layer, p, H, I, E, method)
    return f


def mixtral(name, seed, q, method, gate_method, H=64, I=96, E=4, K=2, **kw):
    c = dict(COMMON, architectures=["MixtralForCausalLM"], attention_dropout=0.0, hidden_size=H, intermediate_size=I,
             model_type="mixtral", num_experts_per_tok=K, num_local_experts=E, output_router_logits=False,
             router_aux_loss_coef=0.02, sliding_window=None)
    f = Folder(name, seed, with_quantization(c, q), **kw)
    for i in range(2):
        p = f"model.layers.{i}.block_sparse_moe"
        f.moe(i, Layer(K, f.gate(p + ".gate", E, H, gate_method)), p, H, I, E, method, names=("w1", "w3", "w2"))
    return f


def gpt_oss(name, seed, H=64, I=96, E=4, K=2, limit=7.0, **kw):
    c = dict(COMMON, architectures=["GptOssForCausalLM"], attention_bias=True, experts_per_token=K, head_dim=16,
             hidden_size=H, initial_context_length=64, intermediate_size=I, layer_types=["sliding_attention", "full_attention"],
             model_type="gpt_oss", num_experts_per_tok=K, num_local_experts=E, output_router_logits=False,
             quantization_config={"modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router",
                                                             "model.embed_tokens", "lm_head"], "quant_method": "mxfp4"},
             router_aux_loss_coef=0.9, sliding_window=32, swiglu_limit=limit)
    c.pop("torch_dtype")
    f = Folder(name, seed, c, **kw)

    def expert(gu, gu_bias, down, down_bias):
        def run(x):
            h = gu @ x + gu_bias
            gate, up = np.minimum(h[0::2], limit), np.clip(h[1::2], -limit, limit)
            return down @ ((up + 1) * gate * sigmoid(1.702 * gate)) + down_bias
        return run

    for i in range(2):
        p = f"model.layers.{i}.mlp"
        router = f.gate(p + ".router", E, H)
        bias = bf16(f.random(E, std=0.5))
        f.tensors[p + ".router.bias"] = bias
        values = {}
        for part, out, inp, std in (("gate_up_proj", 2 * I, H, 3 * H**-0.5), ("down_proj", H, I, 0.25 * I**-0.5)):
            blocks, scales, v = mxfp4(f.random(E, out, inp, std=std).astype(np.float64))
            b = bf16(f.random(E, out, std=0.3))
            f.tensors.update({f"{p}.experts.{part}_blocks": blocks, f"{p}.experts.{part}_scales": scales,
                              f"{p}.experts.{part}_bias": b})
            values[part], values[part + "_bias"] = v, b.astype(np.float64)
        layer = Layer(K, router, kind="topk_softmax", linear_bias=bias.astype(np.float64))
        layer.experts = [expert(*(values[n][e] for n in ("gate_up_proj", "gate_up_proj_bias", "down_proj", "down_proj_bias")))
                         for e in range(E)]
        f.layers[i] = layer
    return f


def llama4(name, seed, H=64, I=48, E=4, K=1, **kw):
    """text model of a multimodal checkpoint: layer 0 dense (interleave_moe_layer_step 2), fused [E, in, out] experts"""
    text = dict(COMMON, attention_bias=False, attn_scale=0.1, floor_scale=8192, head_dim=16, hidden_size=H,
                interleave_moe_layer_step=2, intermediate_size=I, intermediate_size_mlp=96, model_type="llama4_text",
                num_experts_per_tok=K, num_local_experts=E, output_router_logits=False, router_aux_loss_coef=0.001,
                router_jitter_noise=0.0, use_qk_norm=True)
    text.pop("transformers_version")
    c = dict(architectures=["Llama4ForConditionalGeneration"], boi_token_index=60, eoi_token_index=61, image_token_index=62,
             model_type="llama4", text_config=text, tie_word_embeddings=False, torch_dtype="bfloat16",
             transformers_version="4.51.0", vision_config=dict(hidden_size=32, intermediate_size=64, model_type="llama4_vision_model",
                                                               num_attention_heads=2, num_hidden_layers=1))
    f = Folder(name, seed, c, **kw)
    p = "language_model.model.layers.{}.feed_forward"
    f.mlp(p.format(0), H, 96, plain)
    p = p.format(1)
    layer = Layer(K, f.gate(p + ".router", E, H), kind="topk_sigmoid")
    layer.weight_on_input = True
    layer.shared = f.mlp(p + ".shared_expert", H, I, plain)
    gu = bf16(f.random(E, H, 2 * I, std=H**-0.5))
    down = bf16(f.random(E, I, H, std=2 * I**-0.5))
    f.tensors.update({p + ".experts.gate_up_proj": gu, p + ".experts.down_proj": down})
    layer.experts = [glu(g[:, :I].T, g[:, I:].T, d.T) for g, d in zip(gu.astype(np.float64), down.astype(np.float64))]
    f.layers[1] = layer
    return f


# ------------------------------------------------------------------------------------------------ the folders
def gates(layers, *more):
    return ["lm_head"] + [f"model.layers.{i}.{m}" for i in layers for m in ("mlp.gate", *more)]


def bnb(double, skip):
    return {"_load_in_4bit": True, "_load_in_8bit": False, "bnb_4bit_compute_dtype": "bfloat16",
            "bnb_4bit_quant_storage": "uint8", "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": double,
            "llm_int8_enable_fp32_cpu_offload": False, "llm_int8_has_fp16_weight": False, "llm_int8_skip_modules": skip,
            "llm_int8_threshold": 6.0, "load_in_4bit": True, "load_in_8bit": False, "quant_method": "bitsandbytes"}


def gptq_config(**kw):
    return {"bits": 4, "checkpoint_format": "gptq", "damp_percent": 0.1, "group_size": 32, "lm_head": False,
            "meta": {"quantizer": ["gptqmodel:2.2.0"]}, "pack_dtype": "int32", "quant_method": "gptq",
            "static_groups": False, "true_sequential": True, **kw}


def folders():
    yield qwen3_moe("qwen3_moe_awq", 101, {
        "backend": "autoawq", "bits": 4, "do_fuse": False, "exllama_config": None, "fuse_max_seq_len": None,
        "group_size": 32, "modules_to_fuse": None, "modules_to_not_convert": gates((0, 1))[1:], "quant_method": "awq",
        "version": "gemm", "zero_point": True}, [awq(32)] * 2, shards=2)
    yield qwen3_moe("qwen3_moe_gptq_desc_act", 102, gptq_config(desc_act=True, sym=False), [gptq(32, desc_act=True)] * 2,
                    H=64, I=96, E=5, K=3)
    yield qwen3_moe("qwen3_moe_gptq_sym", 103, gptq_config(desc_act=False, sym=True, dynamic={"-:.*\\.mlp\\.gate$": {}}),
                    [gptq(32, sym=True)] * 2)
    yield qwen3_moe("qwen3_moe_gptq_v2", 104, gptq_config(desc_act=False, sym=False, checkpoint_format="gptq_v2"),
                    [gptq(32, zero_offset=0)] * 2)
    yield qwen2_moe("qwen2_moe_compressed_tensors", 105, {
        "config_groups": {"group_0": {"input_activations": None, "output_activations": None, "targets": ["Linear"],
                                      "weights": {"actorder": None, "block_structure": None, "dynamic": False,
                                                  "group_size": 32, "num_bits": 4, "observer": "minmax",
                                                  "observer_kwargs": {}, "strategy": "group", "symmetric": True,
                                                  "type": "int"}}},
        "format": "pack-quantized", "global_compression_ratio": None,
        "ignore": ["lm_head", "re:.*mlp.gate$", "model.layers.1.mlp.shared_expert_gate"], "kv_cache_scheme": None,
        "quant_method": "compressed-tensors", "quantization_status": "compressed"}, pack_quantized(32))
    yield deepseek_v3("deepseek_v3_fp8", 106, {
        "activation_scheme": "dynamic", "fmt": "e4m3", "modules_to_not_convert": gates((1,)), "quant_method": "fp8",
        "weight_block_size": [32, 32]}, fp8_block(32, 32), shards=2)
    yield qwen3_moe("qwen3_moe_fp8_mixed", 107, {
        "activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [32, 32],
        "modules_to_not_convert": gates((0, 1)) + ["model.layers.1.mlp.experts"]}, [fp8_block(32, 32), plain])
    yield gpt_oss("gpt_oss_mxfp4", 108)
    yield mixtral("mixtral_bnb_nf4", 109, bnb(False, ["lm_head", "gate"]), nf4(False), plain)
    yield mixtral("mixtral_bnb_nf4_double", 110, bnb(True, None), nf4(True), nf4(True))  # the router is quantized too
    version = {"name": "modelopt", "version": "0.33.0"}
    skip = gates((0, 1), "self_attn*")
    scheme = {"dynamic": False, "group_size": 16, "num_bits": 4, "type": "float"}
    yield qwen3_moe("qwen3_moe_nvfp4", 111, {
        "config_groups": {"group_0": {"input_activations": scheme, "targets": ["Linear"], "weights": scheme}},
        "ignore": skip, "kv_cache_scheme": {"dynamic": False, "num_bits": 8, "type": "float"}, "producer": version,
        "quant_algo": "NVFP4", "quant_method": "modelopt"}, [nvfp4] * 2, H=64, I=48, extra={"hf_quant_config.json": {
            "producer": version, "quantization": {"exclude_modules": skip, "group_size": 16,
                                                  "kv_cache_quant_algo": "FP8", "quant_algo": "NVFP4"}}})
    yield llama4("llama4_multimodal", 112)
    # a family no engine knows: field and tensor names of the common kind, softmax router, normalized weights
    yield qwen3_moe("unknown_family", 113, None, [plain] * 2, config={
        "architectures": ["MysteryMoeForCausalLM"], "model_type": "mystery_moe"}, H=48, I=40, E=5, K=2)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default=os.path.normpath(os.path.join(here, "..", "..", "Tests", "Fixtures")))
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    for f in folders():
        if not a.names or f.name in a.names:
            negative = f.name == "unknown_family"
            f.write(os.path.normpath(a.out) + "-negative" if negative else os.path.join(a.out, "checkpoints"))


if __name__ == "__main__":
    main()
