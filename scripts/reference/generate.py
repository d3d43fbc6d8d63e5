"""Writes the layer cases, formats, GGUF layers and the tiny whole model of Tests/Fixtures (or under --out).

    python generate.py [--out DIR] [--only NAME] [--all] [--skip-quants]

`--only` takes the cases with NAME in their name; `--all` adds the cases of more_cases.py that the repository does not keep.
"""
import argparse
import copy
import json
import os
import sys
import time
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers.core_model_loading import revert_weight_conversion

import moe_numpy
import more_cases
import packing
from families import Case, cases

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "Fixtures")

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

TORCH_DTYPE = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "bf16w": torch.float32,
               "f16w": torch.float32}
STORED = {"bf16w": torch.bfloat16, "f16w": torch.float16}


# --------------------------------------------------------------- model set-up
def build(c: Case):
    cfg = getattr(transformers, c.cfg_cls)(**copy.deepcopy(c.cfg))
    cfg._experts_implementation = "eager"
    torch.manual_seed(0)
    model = getattr(transformers, c.cls)(cfg).eval()
    return model, cfg


def std_for(name, shape, c: Case):
    """standard deviation of a parameter of the MoE block (name is relative to the block)"""
    H, I = c.H, c.I
    s = c.scales
    leaf = name.split(".")[-1]
    if "e_score_correction_bias" in name or "expert_bias" in name:
        return 0.15 if c.router["kind"] == "sigmoid" or c.router["kind"] == "sqrtsoftplus" else 0.05
    if leaf in ("bias",) and ("router" in name or name.startswith("gate")):
        return 0.5
    if "bias" in leaf:
        return 0.3
    if "shared_expert_gate" in name:
        return 1.0 / H**0.5
    if any(k in name for k in ("router", "gate.weight", "gate.wg", "classifier")) and "experts" not in name:
        return c.logits_std / H**0.5
    if "latent_proj" in name:
        return 1.0 / shape[1] ** 0.5
    if any(k in name for k in ("down_proj", "w2", "output_linear", "fc2", ".wo.")):
        inter = I if leaf == "w2" and c.model_type == "dbrx" else (
            shape[1] if c.experts["layout"] != "fused_in_out" or "shared" in name else shape[-2])
        return s.get("down", 2.0) / inter**0.5
    if "up_embed" in name:
        return 2.0
    return s.get("gate_up", 1.0) / H**0.5


def randomize(block, c: Case, seed, extra=None):
    rng = np.random.default_rng(seed)
    mods = [("", block)] + ([("shared_mlp.", extra)] if extra is not None else [])
    with torch.no_grad():
        for pre, m in mods:
            for name, p in sorted(m.state_dict().items()):
                v = rng.standard_normal(tuple(p.shape)) * std_for(pre + name, p.shape, c)
                t = torch.from_numpy(v.astype(np.float32))
                if c.dtype in STORED and not is_f32_bias(name):
                    t = t.to(STORED[c.dtype])
                p.copy_(t.to(p.dtype))
    x = rng.standard_normal((*c.tokens, c.H)).astype(np.float32)
    return torch.from_numpy(x)


def mxfp4_weights(c: Case, seed):
    """random MXFP4 blocks and scales; E8M0 scales spread over a few exponents, one zero block"""
    from transformers.integrations.mxfp4 import convert_moe_packed_tensors
    rng = np.random.default_rng(seed + 7)
    out, dense = {}, {}
    for name, rows, cols, std in (("gate_up_proj", 2 * c.I, c.H, c.scales.get("gate_up", 1.0) / c.H**0.5),
                                  ("down_proj", c.H, c.I, c.scales.get("down", 2.0) / c.I**0.5)):
        blocks = rng.integers(0, 256, (c.E, rows, cols // 32, 16), dtype=np.uint8)
        base = int(round(np.log2(std / 2.6))) + 127  # rms of the 16 E2M1 codes is about 2.6
        scales = (base + rng.integers(-1, 2, (c.E, rows, cols // 32))).astype(np.uint8)
        blocks[0, 0, 0] = 0
        scales[0, 1, 0] = base - 20
        b, s = torch.from_numpy(blocks), torch.from_numpy(scales)
        out[f"{c.ckpt}.experts.{name}_blocks"], out[f"{c.ckpt}.experts.{name}_scales"] = b, s
        dense[name] = convert_moe_packed_tensors(b, s, dtype=torch.float32)
    return out, dense


def raw_numpy(t):
    """float tensors widened to float32, integers and FP8 bytes as they are"""
    if t.dtype == torch.float8_e4m3fn:
        return t.view(torch.uint8).numpy()
    return t.float().numpy() if t.is_floating_point() else t.numpy()


def is_f32_bias(name):
    """selection biases stay float32 in checkpoints of every precision"""
    return "e_score_correction_bias" in name or "expert_bias" in name


def quantize_projections(c: Case, block, seed):
    """Replace the expert and shared projections by exactly representable quantized ones.
    -> tensors that replace `<name>.weight` in the checkpoint"""
    q = c.extra["quantization"]
    rng = np.random.default_rng(seed + 11)
    out = {}

    def one(name, w):
        w = w.float().numpy()
        if q["method"] == "fp8":
            t, f = packing.fp8_quantize(w, *q["block"])
        else:
            t, f = packing.int4_quantize(rng, w, q["group"], q["method"], q.get("act_order", False))
        out.update({f"{name}.{k}": v for k, v in t.items()})
        return torch.from_numpy(f)

    with torch.no_grad():
        ex = block.experts
        for e in range(c.E):
            p = f"{c.ckpt}.experts.{e}"
            g, u = ex.gate_up_proj[e].chunk(2)
            ex.gate_up_proj[e] = torch.cat([one(f"{p}.gate_proj", g), one(f"{p}.up_proj", u)])
            ex.down_proj[e] = one(f"{p}.down_proj", ex.down_proj[e])
        for s in ("shared_expert", "shared_experts"):
            if hasattr(block, s):
                for k in ("gate_proj", "up_proj", "down_proj"):
                    lin = getattr(getattr(block, s), k)
                    lin.weight.copy_(one(f"{c.ckpt}.{s}.{k}", lin.weight))
    return {k: (v if torch.is_tensor(v) else torch.from_numpy(np.ascontiguousarray(v))) for k, v in out.items()}


# ------------------------------------------------------------------ reference
def run(c: Case, block, x, shared=None):
    """-> logits [N, E'], indices [N, K], weights [N, K], dense [N, E'], output, extra dict"""
    N = x.shape[0] * x.shape[1]
    Ed = c.router["num_experts_dense"] = c.router["num_scores"]
    got = {}
    router = block.router if hasattr(block, "router") else getattr(block, "gate", None)
    if c.extract == "doge":
        router = block.router_gate
        Ed = c.router["num_experts_dense"] = c.router["num_keys"] ** 2
        c.router["num_scores"] = 2 * c.router["num_keys"]
    hook = router.register_forward_hook(lambda m, i, o: got.update(o=o))
    extra = {}
    with torch.no_grad():
        y = block(x.clone())
        hook.remove()
        y = y[0] if isinstance(y, tuple) else y
        y = y.reshape(x.shape)
        o = got["o"]
        flat = x.reshape(N, -1)
        if c.extract == "lwi":
            logits, w, idx = o
        elif c.extract == "llama4":
            scores, logits = o
            idx = logits.topk(c.K, dim=1).indices
            w = scores.gather(1, idx)
        elif c.extract == "dbrx":
            logits = o
            w, idx = block.route_tokens_to_experts(logits)
        elif c.extract == "jetmoe":
            _, batch_index, batch_gates, expert_size, logits = o
            dense = torch.zeros(N, Ed)
            pos = 0
            for e, n in enumerate(expert_size):
                dense[batch_index[pos:pos + n], e] = batch_gates[pos:pos + n].float()
                pos += n
            idx = logits.topk(c.K, dim=1).indices
            w = dense.gather(1, idx)
        elif c.extract == "switch":
            onehot, probs, logits = o
            logits = logits.reshape(N, -1)
            idx = logits.argmax(-1, keepdim=True)
            kept = onehot.reshape(N, -1).sum(-1, keepdim=True)
            w = probs.reshape(N, 1) * kept
            extra["io.kept"] = kept.to(torch.int32)
        elif c.extract == "nllb":
            top1, dense, logits = o
            idx = logits.topk(2, dim=1).indices
            w = dense.gather(1, idx)
            extra["io.kept"] = (w > 0).to(torch.int32)
            # published behaviour: every expert with a non-zero combine weight runs on its tokens
            extra["io.output_transformers_module"] = y.clone()
            out = torch.zeros_like(flat)
            for e in range(Ed):
                t = dense[:, e].nonzero()[:, 0]
                if len(t):
                    out[t] += dense[t, e, None] * block.experts[f"expert_{e}"](flat[t]) * (1 - block.experts.moe_token_dropout)
            y = out.reshape(x.shape)
        elif c.extract == "doge":
            logits = o.reshape(N, -1)
            half = o.view(2, N, -1)
            sc = (half[0][:, :, None] + half[1][:, None, :]).reshape(N, -1)
            s, idx = sc.topk(c.K, dim=-1)
            w = s.softmax(-1)
            if c.cfg["norm_topk_prob"]:
                w = w / w.sum(-1, keepdim=True)
        else:
            raise ValueError(c.extract)
        if shared is not None:
            sh = shared(x)
            extra["io.routed_output"] = y.clone()
            y = y + sh
    dense = torch.zeros(N, Ed)
    dense.scatter_(1, idx.long(), w.float())
    return logits.float(), idx.long(), w.float(), dense, y, extra


def checkpoint_tensors(c: Case, model, block, shared=None):
    sd = {f"{c.path}.{k}": v.detach().clone() for k, v in block.state_dict().items()}
    if shared is not None:
        sd.update({f"{c.extra['shared_path']}.{k}": v.detach().clone() for k, v in shared.state_dict().items()})
    sd = {k: (v[0] if isinstance(v, list) else v) for k, v in revert_weight_conversion(model, sd).items()}
    if c.model_type == "longcat_flash":  # rows of identity experts are never used and not in checkpoints
        sd = {k: v for k, v in sd.items() if not any(f".experts.{e}." in k for e in range(c.E, c.router["num_scores"]))}
    return {k: v.contiguous() for k, v in sd.items()}


def make_spec(c: Case, cfg, seed, gap, dtype_note):
    spec = dict(format_version=1, case=c.name, model_type=c.model_type, seed=seed, hidden_size=c.H,
                moe_intermediate_size=c.I, num_experts=c.E, top_k=c.K, batch=c.tokens[0], tokens=c.tokens[1],
                dtype=dtype_note, router=c.router, experts=c.experts, shared=c.shared,
                output_bias=c.extra.get("output_bias"), latent=c.extra.get("latent"), quantization=c.extra.get("quantization"), min_selection_gap=gap,
                hf_config={k: v for k, v in c.cfg.items()}, model_class=c.cls, block=c.path, checkpoint_prefix=c.ckpt,
                reference={"transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]},
                notes=c.notes)
    spec["hf_config"]["model_type"] = c.model_type
    return spec


def canonical(idx, w, spec, W, x):
    """order each row by descending selection score as the NumPy model does"""
    r = moe_numpy.route(spec, W, x.float().numpy().astype(np.float64))
    pos = {}
    order = np.zeros(idx.shape, np.int64)
    for t in range(idx.shape[0]):
        pos = {int(e): j for j, e in enumerate(idx[t])}
        order[t] = [pos[int(e)] for e in r["indices"][t]]
    o = torch.from_numpy(order)
    return idx.gather(1, o), w.gather(1, o), r


def generate(c: Case, out_dir):
    model, cfg = build(c)
    block = model.get_submodule(c.path)
    shared = model.get_submodule(c.extra["shared_path"]) if "shared_path" in c.extra else None
    dt = TORCH_DTYPE[c.dtype]
    mx = c.experts.get("quantization") == "mxfp4"
    for attempt in range(4000):
        seed = c.seed * 1000 + attempt
        x = randomize(block, c, seed, shared)
        packed = None
        if mx:
            packed, dense_w = mxfp4_weights(c, seed)
            with torch.no_grad():
                block.experts.gate_up_proj.copy_(dense_w["gate_up_proj"])
                block.experts.down_proj.copy_(dense_w["down_proj"])
        if "quantization" in c.extra:
            packed = quantize_projections(c, block, seed)
        if dt != torch.float32:
            # every stored value is exactly representable in the low precision type
            with torch.no_grad():
                for n, p in list(block.named_parameters()) + list(block.named_buffers()):
                    if not is_f32_bias(n):
                        p.copy_(p.to(dt).float())
            x = x.to(dt).float()
        logits, idx, w, dense, y, extra = run(c, block, x, shared)
        tensors = checkpoint_tensors(c, model, block, shared)
        if mx:
            for n in ("gate_up_proj", "down_proj"):
                tensors.pop(f"{c.ckpt}.experts.{n}")
            tensors.update(packed)
        elif packed:
            for n in {k.rsplit(".", 1)[0] for k in packed}:
                tensors.pop(n + ".weight")
            tensors.update(packed)
        spec = make_spec(c, cfg, seed, None, dict(f32="float32", bf16="bfloat16", f16="float16",
                                                  bf16w="bfloat16 weights, float32 arithmetic",
                                                  f16w="float16 weights, float32 arithmetic")[c.dtype])
        W = moe_numpy.prepare(spec, {k: raw_numpy(v)
                                     for k, v in tensors.items()})
        r = moe_numpy.route(spec, W, x.numpy().astype(np.float64))
        if not r["gap"] > c.min_gap:
            continue
        if r["gap"] == np.inf:
            r["gap"] = 1e9
        break
    else:
        raise RuntimeError(f"{c.name}: no seed with a routing gap > {c.min_gap}")
    if not np.array_equal(np.sort(r["indices"], 1), np.sort(idx.numpy(), 1)):
        raise RuntimeError(f"{c.name}: selected experts differ from the NumPy model")
    spec["min_selection_gap"] = r["gap"]
    idx, w, _ = canonical(idx, w, spec, W, x)
    io = {"io.hidden_states": x, "io.router_logits": logits, "io.topk_indices": idx.to(torch.int32),
          "io.topk_weights": w, "io.routing_dense": dense, "io.output": y}
    io.update(extra)
    if dt != torch.float32:
        # run the block in the low precision type too; f32 results stay as the exact reference
        kept = {n: b.clone() for n, b in block.named_buffers() if is_f32_bias(n)}
        block.to(dt)
        for n, b in kept.items():
            owner, _, leaf = n.rpartition(".")
            setattr(block.get_submodule(owner) if owner else block, leaf, b)
        xl = x.to(dt)
        l2, i2, w2, d2, y2, _ = run(c, block, xl, None)
        if not torch.equal(i2.sort(1).values, idx.sort(1).values):
            raise RuntimeError(f"{c.name}: low precision run selects other experts")
        i2, w2, _ = canonical(i2, w2, spec, W, x)
        io["io.hidden_states"] = xl
        io["io.output_f32"], io["io.router_logits_f32"] = io["io.output"], io["io.router_logits"]
        io["io.topk_weights_f32"], io["io.routing_dense_f32"] = io["io.topk_weights"], io["io.routing_dense"]
        io["io.output"], io["io.router_logits"], io["io.topk_weights"], io["io.routing_dense"] = y2.to(dt), l2, w2, d2
        tensors = {k: (v if v.dtype == torch.uint8 or is_f32_bias(k) else v.to(dt)) for k, v in tensors.items()}
    if c.dtype in STORED:
        tensors = {k: (v if v.dtype == torch.uint8 or is_f32_bias(k) else v.to(STORED[c.dtype])) for k, v in tensors.items()}
    if not torch.isfinite(y).all():
        raise RuntimeError(f"{c.name}: output not finite")
    d = os.path.join(out_dir, c.folder)
    os.makedirs(d, exist_ok=True)
    all_t = {**{k: v.contiguous() for k, v in io.items()}, **tensors}
    meta = {"spec": json.dumps(spec, sort_keys=True)}
    path = os.path.join(d, f"{c.name}.safetensors")
    save_file(all_t, path, metadata=meta)
    with open(os.path.join(d, f"{c.name}.json"), "w") as f:
        json.dump(spec, f, indent=1, sort_keys=True)
        f.write("\n")
    hit = int((dense.abs().sum(0) > 0).sum())
    print(f"{c.folder:10s}{c.name:28s} seed+{attempt:<5d} gap {min(r['gap'], 99):8.4f}  out rms {float(y.float().pow(2).mean().sqrt()):6.3f}"
          f"  experts hit {hit}/{dense.shape[1]}  {os.path.getsize(path) / 1024:8.1f} KB", flush=True)


# ---------------------------------------------------- a whole tiny checkpoint
def whole_model(out_dir):
    """3-layer Qwen3-MoE checkpoint (layer 0 dense), single-file and sharded."""
    cfg = transformers.Qwen3MoeConfig(
        vocab_size=64, hidden_size=48, head_dim=12, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=3,
        intermediate_size=80, moe_intermediate_size=24, num_local_experts=6, num_experts_per_tok=2, norm_topk_prob=True,
        mlp_only_layers=[0], max_position_embeddings=64, tie_word_embeddings=False)
    cfg._experts_implementation = "eager"
    torch.manual_seed(0)
    model = transformers.Qwen3MoeForCausalLM(cfg).eval()
    for seed in range(2000):
        rng = np.random.default_rng(777000 + seed)
        with torch.no_grad():
            for n, p in sorted(model.named_parameters()):
                if n.endswith("norm.weight"):
                    v = 1 + 0.1 * rng.standard_normal(tuple(p.shape))
                elif p.ndim == 1:
                    v = 0.1 * rng.standard_normal(tuple(p.shape))
                else:
                    v = rng.standard_normal(tuple(p.shape)) / (1.0 if "embed" in n else p.shape[-1] ** 0.5) * (
                        1.5 if n.endswith("gate.weight") else 1.0)
                p.copy_(torch.from_numpy(v.astype(np.float32)).to(torch.bfloat16).float())
        ids = torch.from_numpy(rng.integers(0, 64, (2, 7)))
        gap, io, hooks = np.inf, {}, []

        def grab(i):
            def f(m, a, o):
                nonlocal gap
                io[f"io.layers.{i}.moe_input"] = a[0].detach().reshape(2, 7, -1).clone()
                io[f"io.layers.{i}.moe_output"] = o.detach().reshape(2, 7, -1).clone()
            def g(m, a, o):
                nonlocal gap
                p = o[0].softmax(-1).sort(-1, descending=True).values
                gap = min(gap, float((p[:, 1] - p[:, 2]).min()))
                io[f"io.layers.{i}.router_logits"] = o[0].detach().clone()
                io[f"io.layers.{i}.topk_weights"] = o[1].detach().clone()
                io[f"io.layers.{i}.topk_indices"] = o[2].detach().to(torch.int32)
            mlp = model.model.layers[i].mlp
            hooks.append(mlp.register_forward_hook(f))
            if hasattr(mlp, "gate"):
                hooks.append(mlp.gate.register_forward_hook(g))
        grab(1)
        grab(2)
        with torch.no_grad():
            logits = model(input_ids=ids, use_cache=False).logits
        for h in hooks:
            h.remove()
        if gap > 1e-3:
            break
    io["io.input_ids"], io["io.logits"] = ids.to(torch.int32), logits
    base = os.path.join(out_dir, "tiny_qwen3_moe")
    model.save_pretrained(base)
    save_file({k: v.contiguous() for k, v in io.items()}, os.path.join(base, "expected.safetensors"),
              metadata={"spec": json.dumps({"min_selection_gap": gap, "seed": 777000 + seed}, sort_keys=True)})
    sharded = os.path.join(out_dir, "tiny_qwen3_moe_sharded")
    model.to(torch.bfloat16).save_pretrained(sharded, max_shard_size="48KB")
    for d in (base, sharded):
        g = os.path.join(d, "generation_config.json")
        if os.path.exists(g):
            os.remove(g)
    # transformers 5 writes other key names than the published Qwen3-MoE checkpoints: the single-file variant
    # gets the published ones, the sharded variant keeps what save_pretrained wrote
    p = os.path.join(base, "config.json")
    with open(p) as f:
        j = json.load(f)
    j["num_experts"] = j.pop("num_local_experts")
    j["torch_dtype"] = j.pop("dtype")
    j["rope_theta"] = j.pop("rope_parameters")["rope_theta"]
    j["rope_scaling"] = None
    with open(p, "w") as f:
        json.dump(j, f, indent=2, sort_keys=True)
        f.write("\n")
    print(f"tiny_qwen3_moe: gap {gap:.4f}; shards:", sorted(os.listdir(sharded)))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--out", default=os.path.normpath(FIXTURES))
    ap.add_argument("--only", default=None)
    ap.add_argument("--all", action="store_true")
    ap.add_argument("--skip-quants", action="store_true")
    a = ap.parse_args()
    t0 = time.time()
    bad = []
    for c in cases() + more_cases.cases(everything=a.all):
        if a.only and a.only not in c.name:
            continue
        try:
            generate(c, a.out)
        except Exception as e:  # report every failing family, then fail
            bad.append(c.name)
            print(f"FAILED {c.name}: {type(e).__name__}: {e}", flush=True)
            if a.only:
                raise
    if not a.only:
        whole_model(a.out)
        if not a.skip_quants:
            import quant_fixtures
            quant_fixtures.main(a.out, everything=a.all)
    print(f"{time.time() - t0:.1f} s")
    if bad:
        sys.exit("failed: " + ", ".join(bad))


if __name__ == "__main__":
    main()
