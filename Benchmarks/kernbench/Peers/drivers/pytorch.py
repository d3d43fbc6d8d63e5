"""PyTorch: experts one after the other as in eager models, and all at once through `torch._grouped_mm`; f32 and bf16."""

import torch

from protocol import Driver, Refusal, serve

KINDS = {"f32": torch.float32, "bf16": torch.bfloat16}


class PyTorch(Driver):
    version = f"torch {torch.__version__}"

    def __init__(self):
        self.layer, self.batches, self.weights, self.fed, self.output = None, None, {}, None, None

    def load(self, layer, name):
        self.layer = layer
        torch.set_num_threads(layer.threads)
        _, manner, kind = name.split("-")
        if manner == "grouped" and not hasattr(torch, "_grouped_mm"):
            raise Refusal(f"torch {torch.__version__} has no _grouped_mm")
        rounded = {"f16", "f32"}.intersection(layer.formats.values())
        if kind == "bf16" and rounded:
            raise Refusal(f"bf16 does not hold the values of {' and '.join(sorted(rounded))}")
        if kind not in self.weights:
            mapped = [torch.from_numpy(layer.values(role)) for role in layer.ROLES]
            # f32 stays in the mapped file; another type is a copy.
            self.weights[kind] = [values.to(KINDS[kind]) for values in mapped]
        words = {"eager": "linear layers, expert after expert", "grouped": "_grouped_mm"}[manner]
        return f"{words}, {kind}; {layer.threads} threads of OpenMP, spinning and sleeping as by default"

    def prepare(self, batches):
        self.batches = batches

    def feed(self, name, batch):
        kind = KINDS[name.rsplit("-", 1)[1]]
        states, ids, weights = (torch.from_numpy(self.batches.array(part, batch)) for part in ("states", "ids", "weights"))
        self.fed = states.to(kind), ids.long(), weights.to(kind)

    @torch.inference_mode()
    def compute(self, name):
        _, manner, kind = name.split("-")
        self.output = (self.eager if manner == "eager" else self.grouped)(*self.weights[kind], *self.fed)

    def eager(self, gates, ups, downs, states, ids, shares):
        output = torch.zeros_like(states)
        for expert in ids.unique().tolist():
            tokens, slots = torch.where(ids == expert)
            rows = states[tokens]
            activated = torch.nn.functional.silu(rows @ gates[expert].T) * (rows @ ups[expert].T)
            output.index_add_(0, tokens, (activated @ downs[expert].T) * shares[tokens, slots, None])
        return output

    def grouped(self, gates, ups, downs, states, ids, shares):
        order = ids.flatten().argsort(stable=True)
        tokens = order // ids.shape[1]
        ends = torch.bincount(ids.flatten(), minlength=gates.shape[0]).cumsum(0, dtype=torch.int32)
        rows = states[tokens]
        gate, up = (torch._grouped_mm(rows, weights.transpose(1, 2), offs=ends) for weights in (gates, ups))
        outputs = torch._grouped_mm(torch.nn.functional.silu(gate) * up, downs.transpose(1, 2), offs=ends)
        return torch.zeros_like(states).index_add_(0, tokens, outputs * shares.flatten()[order, None])

    def finish(self, name):
        self.batches.array("output")[:] = self.output.float().numpy()


if __name__ == "__main__":
    serve(PyTorch())
