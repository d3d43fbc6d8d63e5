"""Quantization fixtures: GGUF block formats, FP8/FP4 tables, AWQ/GPTQ/NF4 packing,
FP8 block scaling, compressed-tensors int4, and small GGUF files holding one MoE layer."""
import importlib.metadata
import json
import os
import tempfile

import gguf
import ml_dtypes
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants
from safetensors.numpy import save_file

import more_cases
from packing import AWQ_ORDER, pack_cols, pack_rows

BLOCK_TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "TQ1_0", "TQ2_0", "IQ4_NL",
               "IQ4_XS", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S", "IQ1_M", "MXFP4", "NVFP4", "F16", "BF16"]

# byte offsets of the float16 fields of a block (scale d and, if present, minimum m)
F16_FIELDS = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
              "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "TQ1_0": [52], "TQ2_0": [64], "IQ4_NL": [0], "IQ4_XS": [0],
              "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0]}
# scales used in turn: ordinary, tiny, subnormal, smallest subnormal, zero, negative, largest finite
SCALES = np.array([0.0123, 1.0, -0.37, 6.1e-5, 3.0e-6, 6.0e-8, 0.0, -0.0, 65504.0 / 4096, -2.5, 65504.0], np.float16)


def set_f16(blocks, off, values):
    blocks[:, off:off + 2] = values.astype(np.float16).view(np.uint8).reshape(-1, 2)


def random_blocks(rng, name, n):
    """n valid blocks with random payload and chosen (also extreme) scales"""
    bs, ts = gguf.GGML_QUANT_SIZES[T[name]]
    b = rng.integers(0, 256, (n, ts), dtype=np.uint8)
    for j, off in enumerate(F16_FIELDS.get(name, [])):
        set_f16(b, off, SCALES[(np.arange(n) + 3 * j) % len(SCALES)])
    if name == "IQ1_M":  # the float16 scale is spread over the top nibbles of the four 16-bit scale words
        d = SCALES[np.arange(n) % len(SCALES)].view(np.uint16)
        sc = b[:, 48:56].copy().view("<u2")
        for k in range(4):
            sc[:, k] = (sc[:, k] & 0x0FFF) | (((d >> (4 * k)) & 0xF) << 12)
        b[:, 48:56] = sc.view(np.uint8)
    if name == "TQ1_0":  # legal ternary bytes: ceil(value * 256 / 243)
        def pack(nt, cols):
            v = rng.integers(0, 3**nt, (n, cols)) * 3 ** (5 - nt)
            return ((v * 256 + 242) // 243).astype(np.uint8)
        b[:, :48] = pack(5, 48)
        b[:, 48:52] = pack(4, 4)
    if name == "TQ2_0":
        q = rng.integers(0, 3, (n, 64, 4))
        b[:, :64] = (q[..., 0] | q[..., 1] << 2 | q[..., 2] << 4 | q[..., 3] << 6).astype(np.uint8)
    if name == "MXFP4":  # E8M0 exponents incl. the two smallest; 0xFF (NaN) and overflow excluded
        b[:, 0] = np.array([127, 126, 120, 1, 0, 2, 140, 200, 250, 110])[np.arange(n) % 10]
    if name == "NVFP4":  # unsigned E4M3 sub-block scales, NaN code 0x7F and sign bit excluded
        b[:, :4] = rng.integers(0, 127, (n, 4))
        b[0, :4] = [0, 1, 7, 126]
    if name == "F16":
        v = np.concatenate([SCALES, rng.standard_normal(n * bs).astype(np.float16)])[:n]
        return v.view(np.uint8).reshape(n, 2)
    if name == "BF16":
        v = np.concatenate([np.array([0, -0.0, 1, 1e-38, 1e-40, 3e38, -2.5], np.float32),
                            rng.standard_normal(n).astype(np.float32)])[:n]
        return v.astype(ml_dtypes.bfloat16).view(np.uint8).reshape(n, 2)
    return b


def gguf_blocks(rng, n_random, rows, cols):
    out = {}
    for name in BLOCK_TYPES:
        t = T[name]
        bs, ts = gguf.GGML_QUANT_SIZES[t]
        nb = n_random if bs > 1 else 64
        raw = random_blocks(rng, name, nb)
        with np.errstate(all="ignore"):
            deq = quants.dequantize(raw.reshape(1, -1), t).astype(np.float32).reshape(nb, bs)
        ok = np.isfinite(deq).all(axis=1)  # e.g. a sub-scale times 65504 may leave the float32 range of the format
        assert ok.mean() > 0.5, (name, ok.mean())
        out[f"{name}.random.raw"], out[f"{name}.random.f32"] = raw[ok], deq[ok]
        try:
            w = rng.standard_normal((rows, max(cols, bs))).astype(np.float32) * 0.05
            w[0, :bs] = 0.0
            w[1, 0] = 1.5
            q = quants.quantize(w, t)
        except (NotImplementedError, AttributeError):
            continue
        q8 = q.view(np.uint8).reshape(rows, -1)
        out[f"{name}.gauss.source"] = w
        out[f"{name}.gauss.raw"] = q8
        out[f"{name}.gauss.f32"] = quants.dequantize(q, t).astype(np.float32).reshape(w.shape)
    return out


# ------------------------------------------------------------- element tables
def tables():
    codes = np.arange(256, dtype=np.uint8)
    out = {"codes": codes}
    for key, dt in (("f8_e4m3fn", ml_dtypes.float8_e4m3fn), ("f8_e5m2", ml_dtypes.float8_e5m2),
                    ("f8_e8m0", ml_dtypes.float8_e8m0fnu)):
        out[f"table.{key}"] = codes.view(dt).astype(np.float32)
    out["table.f4_e2m1"] = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    out["table.nf4"] = NF4
    return out


# NormalFloat-4 code book (quantiles of N(0,1), public constants of the QLoRA paper)
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
                -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
                0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
                1.0], np.float32)


def affine(rng, K, N, G):
    q = rng.integers(0, 16, (K, N))
    z = rng.integers(1, 16, (K // G, N))
    s = (rng.uniform(0.002, 0.03, (K // G, N))).astype(np.float16)
    return q, z, s


def packed_int4(rng, K, N, G=32):
    """weights of one linear layer y = x @ W, W [in = K, out = N]; f32 result is stored as [out, in]"""
    out = {}
    q, z, s = affine(rng, K, N, G)
    w = (q - np.repeat(z, G, 0)).astype(np.float32) * np.repeat(s, G, 0).astype(np.float32)
    out["awq.qweight"], out["awq.qzeros"], out["awq.scales"] = pack_cols(q, AWQ_ORDER), pack_cols(z, AWQ_ORDER), s
    out["awq.f32"] = np.ascontiguousarray(w.T)

    q, z, s = affine(rng, K, N, G)
    for kind, g_idx in (("gptq", np.arange(K) // G), ("gptq_actorder", rng.permutation(np.arange(K) // G))):
        w = (q - z[g_idx]).astype(np.float32) * s[g_idx].astype(np.float32)
        out[f"{kind}.qweight"], out[f"{kind}.scales"] = pack_rows(q), s
        out[f"{kind}.qzeros"] = pack_cols(z - 1, list(range(8)))  # "v1" checkpoints store zero - 1
        out[f"{kind}.g_idx"] = g_idx.astype(np.int32)
        out[f"{kind}.f32"] = np.ascontiguousarray(w.T)
    q = rng.integers(0, 16, (K, N))
    w = (q - 8).astype(np.float32) * np.repeat(s, G, 0).astype(np.float32)
    out["gptq_sym.qweight"], out["gptq_sym.scales"] = pack_rows(q), s
    out["gptq_sym.qzeros"] = pack_cols(np.full((K // G, N), 7), list(range(8)))
    out["gptq_sym.g_idx"] = (np.arange(K) // G).astype(np.int32)
    out["gptq_sym.f32"] = np.ascontiguousarray(w.T)

    # compressed-tensors pack-quantized: [out, in/8] int32, nibble i = input 8*c + i, value stored + 8
    q = rng.integers(-8, 8, (N, K))
    s2 = rng.uniform(0.002, 0.03, (N, K // G)).astype(np.float16)
    out["ct_int4.weight_packed"] = pack_cols(q + 8, list(range(8)))
    out["ct_int4.weight_scale"] = s2
    out["ct_int4.weight_shape"] = np.array([N, K], np.int64)
    out["ct_int4.f32"] = q.astype(np.float32) * np.repeat(s2, G, 1).astype(np.float32)

    # bitsandbytes NF4, block 64, no double quantization; high nibble first, row major over [out, in]
    B = 64
    codes = rng.integers(0, 16, N * K).astype(np.uint8)
    absmax = rng.uniform(0.02, 0.2, N * K // B).astype(np.float32)
    out["nf4.weight"] = ((codes[0::2] << 4) | codes[1::2]).reshape(-1, 1)
    out["nf4.absmax"], out["nf4.quant_map"] = absmax, NF4
    out["nf4.f32"] = (NF4[codes].reshape(-1, B) * absmax[:, None]).astype(np.float32).reshape(N, K)

    # MXFP4 (OCP): 32 values share one E8M0 exponent; low nibble first, consecutive values
    e2m1 = np.arange(16, dtype=np.uint8).view(ml_dtypes.float4_e2m1fn).astype(np.float32)
    c = rng.integers(0, 16, (N, K // 32, 32)).astype(np.uint8)
    e = rng.integers(118, 124, (N, K // 32)).astype(np.uint8)
    out["mxfp4.blocks"], out["mxfp4.scales"] = c[..., 0::2] | (c[..., 1::2] << 4), e
    out["mxfp4.f32"] = (e2m1[c] * np.exp2(e.astype(np.float32) - 127)[..., None]).reshape(N, K).astype(np.float32)

    # NVFP4: 16 values share one E4M3 scale, and a tensor has one float32 global scale
    c = rng.integers(0, 16, (N, K // 16, 16)).astype(np.uint8)
    sc = rng.uniform(1.0, 400.0, (N, K // 16)).astype(ml_dtypes.float8_e4m3fn)
    g = np.array([3.7e-5], np.float32)
    out["nvfp4.weight"] = (c[..., 0::2] | (c[..., 1::2] << 4)).reshape(N, K // 2)
    out["nvfp4.weight_scale_e4m3"], out["nvfp4.weight_scale_2"] = sc.view(np.uint8), g
    out["nvfp4.f32"] = (e2m1[c] * (sc.astype(np.float32) * g)[..., None]).reshape(N, K).astype(np.float32)
    return out


def fp8_block(rng, N, K, B=32):
    """block-scaled FP8 weights: weight [N, K] E4M3 bytes, weight_scale_inv [ceil(N/B), ceil(K/B)]; w = q * scale_inv.
    N and K need not be multiples of the block."""
    w = rng.standard_normal((N, K)).astype(np.float32) * 0.1
    nb, kb = -(-N // B), -(-K // B)
    s = np.zeros((nb, kb), np.float32)
    q = np.zeros((N, K), np.uint8)
    f = np.zeros((N, K), np.float32)
    for i in range(nb):
        for j in range(kb):
            sl = (slice(i * B, (i + 1) * B), slice(j * B, (j + 1) * B))
            s[i, j] = np.abs(w[sl]).max() / 448.0
            v = (w[sl] / s[i, j]).astype(ml_dtypes.float8_e4m3fn)
            q[sl], f[sl] = v.view(np.uint8), v.astype(np.float32) * s[i, j]
    return {"fp8_block.weight_e4m3": q, "fp8_block.weight_scale_inv": s, "fp8_block.f32": f,
            "fp8_block.block_size": np.array([B, B], np.int32)}


# ------------------------------------------------------------ GGUF MoE layers
def silu(x):
    return x / (1.0 + np.exp(-x))


def gguf_layer(path, rng, H, I, E, K, types, arch="llama", shared=False, N=14):
    """One MoE layer in a GGUF file.  types: (gate, up, down) GGUF types for the expert tensors."""
    def encode(w, name):
        t = T[name]
        if name in ("F32",):
            return w, w, t
        bs, ts = gguf.GGML_QUANT_SIZES[t]
        try:
            q = quants.quantize(w, t)
        except (NotImplementedError, AttributeError):  # no quantizer: draw legal blocks, give them a usable scale
            n = w.size // bs
            q = random_blocks(rng, name, n)
            if name == "NVFP4":  # unsigned E4M3 scale per 16 values: the code nearest to the wanted scale
                q[:, :4] = 56  # 1.0
                rms = np.sqrt(np.mean(quants.dequantize(q.reshape(1, -1), t) ** 2))
                table = np.arange(127, dtype=np.uint8).view(ml_dtypes.float8_e4m3fn).astype(np.float32)
                want = rng.uniform(0.8, 1.2, (n, 4)) * w.std() / rms
                q[:, :4] = np.abs(table - want[..., None]).argmin(-1)
                q = q.reshape(*w.shape[:-1], w.shape[-1] // bs * ts)
                return q, quants.dequantize(q, t).astype(np.float32).reshape(w.shape), t
            offs = F16_FIELDS[name]
            probe = q.copy()
            for j, off in enumerate(offs):
                set_f16(probe, off, np.full(n, 1.0 if j == 0 else 0.0))
            rms = np.sqrt(np.mean(quants.dequantize(probe.reshape(1, -1), t) ** 2))
            set_f16(q, offs[0], rng.uniform(0.8, 1.2, n) * w.std() / rms)
            for off in offs[1:]:
                set_f16(q, off, np.full(n, 0.0) + 0.02 * w.std() / rms)
            q = q.reshape(*w.shape[:-1], w.shape[-1] // bs * ts)
        return q, quants.dequantize(q, t).astype(np.float32).reshape(w.shape), t

    wr = gguf.GGUFWriter(path, arch)
    wr.add_name("moe-fixture")
    wr.add_block_count(1)
    wr.add_context_length(64)
    wr.add_embedding_length(H)
    wr.add_feed_forward_length(I)
    wr.add_head_count(2)
    wr.add_expert_count(E)
    wr.add_expert_used_count(K)
    if arch != "llama":
        wr.add_expert_feed_forward_length(I)
    if shared:
        wr.add_expert_shared_feed_forward_length(2 * I)
    std = {"gate": H**-0.5, "up": H**-0.5, "down": 2.0 * I**-0.5}
    out = {}
    for attempt in range(1000):
        gate_inp = (rng.standard_normal((E, H)) * 1.5 * H**-0.5).astype(np.float32)
        x = rng.standard_normal((N, H)).astype(np.float32)
        logits = x @ gate_inp.T
        srt = -np.sort(-logits, axis=1)
        if (srt[:, K - 1] - srt[:, K]).min() > 2e-2:
            break
    dense = {}
    wr.add_tensor("blk.0.ffn_gate_inp.weight", gate_inp)
    for part, t in zip(("gate", "up", "down"), types):
        shape = (E, I, H) if part != "down" else (E, H, I)
        w = (rng.standard_normal(shape) * std[part]).astype(np.float32)
        q, f, qt = encode(w, t)
        dense[part] = f.astype(np.float64)
        if t in ("F32", "F16"):
            wr.add_tensor(f"blk.0.ffn_{part}_exps.weight", q)
        else:
            wr.add_tensor(f"blk.0.ffn_{part}_exps.weight", np.ascontiguousarray(q).view(np.uint8), raw_dtype=qt)
    xs = x.astype(np.float64)
    logits = xs @ gate_inp.astype(np.float64).T
    idx = np.argsort(-logits, axis=1, kind="stable")[:, :K]
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    wts = np.take_along_axis(p, idx, 1)
    if arch == "llama":  # softmax over all, then renormalized over the selected
        wts = wts / wts.sum(1, keepdims=True)
    y = np.zeros((N, H))
    for t in range(N):
        for j in range(K):
            e = idx[t, j]
            h = silu(dense["gate"][e] @ xs[t]) * (dense["up"][e] @ xs[t])
            y[t] += wts[t, j] * (dense["down"][e] @ h)
    if shared:
        sw = {}
        for part in ("gate", "up", "down"):
            shape = (2 * I, H) if part != "down" else (H, 2 * I)
            w = (rng.standard_normal(shape) * (H**-0.5 if part != "down" else 2.0 * (2 * I) ** -0.5)).astype(np.float32)
            q, f, qt = encode(w, "Q8_0")
            sw[part] = f.astype(np.float64)
            wr.add_tensor(f"blk.0.ffn_{part}_shexp.weight", np.ascontiguousarray(q).view(np.uint8), raw_dtype=qt)
        g = (rng.standard_normal(H) * H**-0.5).astype(np.float32)
        wr.add_tensor("blk.0.ffn_gate_inp_shexp.weight", g)
        s = (silu(xs @ sw["gate"].T) * (xs @ sw["up"].T)) @ sw["down"].T
        y += s / (1.0 + np.exp(-(xs @ g.astype(np.float64))))[:, None]
    wr.write_header_to_file()
    wr.write_kv_data_to_file()
    wr.write_tensors_to_file()
    wr.close()
    out["io.hidden_states"], out["io.router_logits"] = x, logits.astype(np.float32)
    out["io.topk_indices"], out["io.topk_weights"] = idx.astype(np.int32), wts.astype(np.float32)
    out["io.output"] = y.astype(np.float32)
    save_file(out, path.replace(".gguf", ".expected.safetensors"),
              metadata={"spec": json.dumps(dict(
                  arch=arch, hidden_size=H, moe_intermediate_size=I, num_experts=E, top_k=K, types=list(types),
                  norm_topk_prob=arch == "llama", shared_intermediate_size=2 * I if shared else 0), sort_keys=True)})


QUANTS = dict(seed=11, n_random=22, rows=4, cols=256)
PACKED = dict(seed=21, K=64, N=48)
GGUF_SEED = 31


def gguf_layers(layer):
    layer("moe_q8_0", 64, 32, 4, 2, ("Q8_0", "Q8_0", "Q8_0"))
    layer("moe_q4_0_q5_1", 64, 32, 4, 2, ("Q4_0", "Q4_1", "Q5_1"))
    layer("moe_f16", 40, 24, 4, 2, ("F16", "BF16", "F32"))
    layer("moe_q4_k_q6_k", 256, 256, 2, 1, ("Q4_K", "Q4_K", "Q6_K"))
    layer("moe_qwen2_q8_0", 64, 32, 6, 3, ("Q8_0", "Q5_0", "Q8_0"), arch="qwen2moe", shared=True)
    layer("moe_mxfp4", 64, 32, 4, 2, ("MXFP4", "MXFP4", "MXFP4"))


def write_gguf(d, layers, seed, keep=None):
    """layers: calls its argument once a file; all share one generator, so that unwanted ones are written elsewhere"""
    rng = np.random.default_rng(seed)
    os.makedirs(d, exist_ok=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        layers(lambda n, *a, **k: gguf_layer(os.path.join(d if keep is None or n in keep else elsewhere, n + ".gguf"), rng, *a, **k))


def main(out_dir, everything=False):
    os.makedirs(out_dir, exist_ok=True)
    meta = {"spec": json.dumps({"gguf": importlib.metadata.version("gguf"), "ml_dtypes": ml_dtypes.__version__})}
    c = QUANTS
    save_file(gguf_blocks(np.random.default_rng(c["seed"]), c["n_random"], c["rows"], c["cols"]),
              os.path.join(out_dir, "quants.safetensors"), metadata=meta)
    c = PACKED
    t = {**tables(), **packed_int4(np.random.default_rng(c["seed"]), c["K"], c["N"]),
         **fp8_block(np.random.default_rng(c["seed"] + 100), c["N"] + 8, c["K"] + 16)}
    save_file({k: np.ascontiguousarray(v) for k, v in t.items()}, os.path.join(out_dir, "packed.safetensors"), metadata=meta)
    write_gguf(out_dir, gguf_layers, GGUF_SEED)
    write_gguf(os.path.join(out_dir, "families"), more_cases.gguf_layers, more_cases.GGUF_SEED,
               None if everything else more_cases.KEPT)
