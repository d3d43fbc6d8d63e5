"""Checks every fixture with NumPy only (no torch, no transformers):

    python verify.py [DIR]

MoE cases: routing and output are recomputed in float64 from the stored weights.
GGUF layers: the file is parsed again, dequantized and the layer recomputed.
Packed int4/FP8/FP4/NF4: unpacked element by element from the raw words.
"""
import glob
import json
import os
import struct
import sys

import numpy as np

import moe_numpy as M

DT = {"F32": np.float32, "F16": np.float16, "I32": np.int32, "I64": np.int64, "U8": np.uint8, "I8": np.int8, "F8_E4M3": np.uint8}


def load(path):
    """minimal safetensors reader (bf16 is widened to float32)"""
    raw = open(path, "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    head = json.loads(raw[8:8 + n])
    meta = head.pop("__metadata__", {})
    out, kinds = {}, {}
    for k, v in head.items():
        a, b = v["data_offsets"]
        buf = raw[8 + n + a:8 + n + b]
        if v["dtype"] == "BF16":
            arr = (np.frombuffer(buf, np.uint16).astype(np.uint32) << 16).view(np.float32)
        else:
            arr = np.frombuffer(buf, DT[v["dtype"]])
        out[k], kinds[k] = arr.reshape(v["shape"]), v["dtype"]
    return out, kinds, meta


def err(a, b):
    return float(np.max(np.abs(np.asarray(a, np.float64) - np.asarray(b, np.float64)), initial=0.0))


def check_case(path):
    t, kinds, meta = load(path)
    spec = json.loads(meta["spec"])
    assert spec == json.load(open(path.replace(".safetensors", ".json"))), "sidecar differs from metadata"
    io = {k[3:]: v for k, v in t.items() if k.startswith("io.")}
    W = M.prepare(spec, {k: v for k, v in t.items() if not k.startswith("io.")})
    r = M.layer(spec, W, io["hidden_states"])
    low = "output_f32" in io
    s = "_f32" if low else ""
    e = dict(logits=err(r["logits"], io["router_logits" + s]), weights=err(r["weights"], io["topk_weights" + s]),
             dense=err(r["dense"], io["routing_dense" + s]), output=err(r["output"], io["output" + s]))
    assert np.array_equal(r["indices"], io["topk_indices"]), "expert indices"
    if "routed_output" in io:
        e["routed"] = err(r["routed"].reshape(io["routed_output"].shape), io["routed_output"])
    # experts alone, driven by the stored combine matrix
    e["given"] = err(M.layer(spec, W, io["hidden_states"], dense=io["routing_dense" + s].astype(np.float64))["output"], io["output" + s])
    lowerr = err(io["output"], io["output_f32"]) if low else None
    tol = 1e-5
    assert max(e.values()) < tol, e
    assert spec["min_selection_gap"] > 1e-3
    return e, lowerr, spec, float(np.sqrt(np.mean(r["output"] ** 2)))


def nib(words, i):
    return (words.astype(np.int64) >> (4 * i)) & 15


def check_packed(path):
    t, _, _ = load(path)
    bad = {}
    K = t["awq.qweight"].shape[0]
    N = t["awq.scales"].shape[1]
    G = K // t["awq.scales"].shape[0]
    inv = [0, 4, 1, 5, 2, 6, 3, 7]  # column j of a group of 8 sits in nibble inv[j]
    f = np.zeros((N, K))
    for n in range(N):
        i = inv[n % 8]
        q, z = nib(t["awq.qweight"][:, n // 8], i), nib(t["awq.qzeros"][:, n // 8], i)
        f[n] = (q - np.repeat(z, G)) * np.repeat(t["awq.scales"][:, n].astype(np.float64), G)
    bad["awq"] = err(f, t["awq.f32"])
    for kind in ("gptq", "gptq_actorder", "gptq_sym"):
        for n in range(N):
            for k in range(K):
                g = t[kind + ".g_idx"][k]
                q = nib(t[kind + ".qweight"][k // 8, n], k % 8)
                z = nib(t[kind + ".qzeros"][g, n // 8], n % 8) + 1
                f[n, k] = (q - z) * float(t[kind + ".scales"][g, n])
        bad[kind] = err(f, t[kind + ".f32"])
    for n in range(N):
        for k in range(K):
            f[n, k] = (nib(t["ct_int4.weight_packed"][n, k // 8], k % 8) - 8) * float(t["ct_int4.weight_scale"][n, k // G])
    bad["ct_int4"] = err(f, t["ct_int4.f32"])
    b = t["nf4.weight"].reshape(-1)
    flat = np.arange(N * K)
    code = np.where(flat % 2 == 0, b[flat // 2] >> 4, b[flat // 2] & 15)
    bad["nf4"] = err((t["nf4.quant_map"][code] * t["nf4.absmax"][flat // 64]).reshape(N, K), t["nf4.f32"])
    bl = t["mxfp4.blocks"]
    mx = M.decode_mxfp4(bl[None], t["mxfp4.scales"][None])[0].T
    bad["mxfp4"] = err(mx, t["mxfp4.f32"])
    w = t["nvfp4.weight"]
    v = np.stack([M.FP4[w & 15], M.FP4[w >> 4]], -1).reshape(N, K)
    e4m3 = t["table.f8_e4m3fn"].astype(np.float64)
    sc = np.repeat(e4m3[t["nvfp4.weight_scale_e4m3"]], 16, 1) * float(t["nvfp4.weight_scale_2"][0])
    bad["nvfp4"] = err(v * sc, t["nvfp4.f32"])
    q, s = t["fp8_block.weight_e4m3"], t["fp8_block.weight_scale_inv"]
    B = t["fp8_block.block_size"][0]
    full = np.repeat(np.repeat(s, B, 0), B, 1)[: q.shape[0], : q.shape[1]]
    bad["fp8_block"] = err(e4m3[q] * full, t["fp8_block.f32"])

    def tab(e_bits, m_bits, bias, nan, inf):  # tables from the bit definition
        out = np.zeros(256)
        for c in range(256):
            sgn, ex, m = c >> 7, (c >> m_bits) & ((1 << e_bits) - 1), c & ((1 << m_bits) - 1)
            x = m * 2.0 ** (1 - bias - m_bits) if ex == 0 else (1 + m / 2**m_bits) * 2.0 ** (ex - bias)
            x = np.nan if nan(ex, m) else np.inf if inf(ex, m) else x
            out[c] = -x if sgn else x
        return out
    ok = np.array_equal(tab(4, 3, 7, lambda e, m: e == 15 and m == 7, lambda e, m: False), e4m3, equal_nan=True)
    ok &= np.array_equal(tab(5, 2, 15, lambda e, m: e == 31 and m, lambda e, m: e == 31 and m == 0), t["table.f8_e5m2"].astype(np.float64), equal_nan=True)
    ok &= np.array_equal(M.FP4, t["table.f4_e2m1"].astype(np.float64))
    assert ok, "element tables"
    assert max(bad.values()) < 1e-6, bad
    return bad


def check_gguf_blocks(path):
    """simple formats recomputed here by hand, every format dequantized again with gguf"""
    import gguf
    t, _, _ = load(path)
    names = sorted({k.rsplit(".", 2)[0] for k in t})
    for n in names:
        for part in ("random", "gauss"):
            if f"{n}.{part}.raw" not in t:
                continue
            raw, f = t[f"{n}.{part}.raw"], t[f"{n}.{part}.f32"]
            with np.errstate(all="ignore"):
                d = gguf.quants.dequantize(raw.reshape(f.shape[0], -1), gguf.GGMLQuantizationType[n]).reshape(f.shape)
            assert np.array_equal(d.astype(np.float32), f), n
            assert np.isfinite(f).all(), n
    for n in ("Q8_0", "Q4_0", "Q4_K", "Q6_K"):
        raw, f = t[f"{n}.random.raw"], t[f"{n}.random.f32"].astype(np.float64)
        g = np.zeros_like(f)
        h = lambda b, o: b[:, o:o + 2].copy().view(np.float16).astype(np.float64)
        if n == "Q8_0":
            g = h(raw, 0) * raw[:, 2:].view(np.int8)
        elif n == "Q4_0":
            g = h(raw, 0) * (np.concatenate([raw[:, 2:] & 15, raw[:, 2:] >> 4], 1).astype(int) - 8)
        elif n == "Q4_K":
            s, qs = raw[:, 4:16].astype(int), raw[:, 16:]
            for j in range(8):
                sc = s[:, j] & 63 if j < 4 else (s[:, j + 4] & 15) | (s[:, j - 4] >> 6) << 4
                mn = s[:, j + 4] & 63 if j < 4 else (s[:, j + 4] >> 4) | (s[:, j] >> 6) << 4
                q = qs[:, 32 * (j // 2):32 * (j // 2) + 32] >> (4 * (j % 2)) & 15
                g[:, 32 * j:32 * j + 32] = h(raw, 0) * sc[:, None] * q - h(raw, 2) * mn[:, None]
        else:
            ql, qh, sc = raw[:, :128], raw[:, 128:192], raw[:, 192:208].view(np.int8).astype(int)
            for i in range(256):
                half, j = divmod(i, 128)
                lo = ql[:, 64 * half + j % 64] >> (4 * (j // 64)) & 15
                hi = qh[:, 32 * half + j % 32] >> (2 * (j // 32)) & 3
                g[:, i] = h(raw, 208)[:, 0] * sc[:, i // 16] * ((lo | hi << 4).astype(int) - 32)
        scale = np.maximum(np.abs(f).max(1, keepdims=True), 1e-30)
        assert np.max(np.abs(g - f) / scale) < 1e-6, n
    return names


def check_gguf_layer(path):
    import gguf
    t, _, meta = load(path.replace(".gguf", ".expected.safetensors"))
    meta = json.loads(meta["spec"])
    rd = gguf.GGUFReader(path)
    arch = meta["arch"]
    field = lambda k: int(rd.fields[k].parts[rd.fields[k].data[0]][0])
    E, K = field(f"{arch}.expert_count"), field(f"{arch}.expert_used_count")
    assert (E, K) == (meta["num_experts"], meta["top_k"])
    W = {}
    for x in rd.tensors:
        shape = [int(v) for v in reversed(x.shape)]
        W[x.name] = gguf.quants.dequantize(x.data, x.tensor_type).astype(np.float64).reshape(shape)
    g = lambda n: W[f"blk.0.ffn_{n}.weight"]
    x = t["io.hidden_states"].astype(np.float64)
    p = M.softmax(x @ g("gate_inp").T)
    idx = M.topk(p, K)
    assert np.array_equal(idx, t["io.topk_indices"])
    y = np.zeros_like(x)
    silu = M.ACT["silu"]
    for n in range(len(x)):
        w = p[n, idx[n]]
        if meta["norm_topk_prob"]:
            w = w / w.sum()
        for j, e in enumerate(idx[n]):
            y[n] += w[j] * (g("down_exps")[e] @ (silu(g("gate_exps")[e] @ x[n]) * (g("up_exps")[e] @ x[n])))
    if meta["shared_intermediate_size"]:
        s = (silu(x @ g("gate_shexp").T) * (x @ g("up_shexp").T)) @ g("down_shexp").T
        y += s * M.sigmoid(x @ g("gate_inp_shexp").reshape(-1))[:, None]
    e = err(y, t["io.output"])
    assert e < 1e-5, e
    return e, float(np.sqrt(np.mean(y**2)))


def check_model(d):
    """names and values of the single-file and the sharded checkpoint agree; MoE layers recomputed"""
    t, kinds, _ = load(os.path.join(d, "model.safetensors"))
    x, _, _ = load(os.path.join(d, "expected.safetensors"))
    cfg = json.load(open(os.path.join(d, "config.json")))
    K, worst = cfg["num_experts_per_tok"], 0.0
    for i in (1, 2):
        p = f"model.layers.{i}.mlp"
        spec = dict(top_k=K, moe_intermediate_size=cfg["moe_intermediate_size"], shared=None,
                    router=dict(kind="softmax", weight=f"{p}.gate.weight", num_scores=6, num_experts_dense=6, norm={"p": 1.0}),
                    experts=dict(layout="split", activation="silu", tensors={k: f"{p}.experts.{{e}}.{k}_proj.weight" for k in ("gate", "up", "down")}))
        r = M.layer(spec, M.prepare(spec, t), x[f"io.layers.{i}.moe_input"])
        assert np.array_equal(r["indices"], x[f"io.layers.{i}.topk_indices"])
        worst = max(worst, err(r["output"], x[f"io.layers.{i}.moe_output"]))
    assert worst < 1e-5
    sd = d + "_sharded"
    index = json.load(open(os.path.join(sd, "model.safetensors.index.json")))["weight_map"]
    assert set(index) == set(t), set(index) ^ set(t)
    shards = {f: load(os.path.join(sd, f))[0] for f in set(index.values())}
    assert all(np.array_equal(shards[f][k], t[k]) for k, f in index.items()), "sharded values differ"
    return worst, len(t), len(shards)


def main(base):
    worst, n = 0.0, 0
    for path in sorted(glob.glob(os.path.join(base, "*.safetensors")) + glob.glob(os.path.join(base, "families", "*.safetensors"))):
        f = os.path.relpath(path, base)
        if f == "quants.safetensors":
            print(f"{f:44s}", len(check_gguf_blocks(path)), "formats ok")
        elif f == "packed.safetensors":
            print(f"{f:44s}", {k: f"{v:.0e}" for k, v in check_packed(path).items()})
        elif f.endswith(".expected.safetensors"):
            e, rms = check_gguf_layer(path.replace(".expected.safetensors", ".gguf"))
            print(f"{f.replace('.expected.safetensors', '.gguf'):44s} err {e:.1e}  rms {rms:.2f}")
        else:
            e, low, spec, rms = check_case(path)
            worst, n = max(worst, max(e.values())), n + 1
            print(f"{f:44s} " + " ".join(f"{k} {v:.0e}" for k, v in e.items()) + f"  rms {rms:.2f}" +
                  (f"  low-precision output differs by {low:.1e}" if low else ""))
    d = os.path.join(base, "tiny_qwen3_moe")
    if os.path.exists(d):
        print(os.path.basename(d), check_model(d))
    print(f"{n} MoE cases, worst error {worst:.2e}")


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.normpath(os.path.join(here, "..", "..", "Tests", "Fixtures")))
