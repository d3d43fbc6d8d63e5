"""OpenBLAS: a product for each matrix of an expert, on decoded f32 weights, through the library that numpy's wheel brings."""

import numpy

from protocol import Driver, Refusal, serve


class OpenBLAS(Driver):
    def __init__(self):
        built = numpy.show_config(mode="dicts")["Build Dependencies"]["blas"]
        self.library, self.version = built["name"], f"{built['name']} {built['version']} of numpy {numpy.__version__}"
        self.weights, self.layer, self.batches, self.fed, self.output = None, None, None, None, None

    def load(self, layer, name):
        if "openblas" not in self.library:
            raise Refusal(f"this numpy multiplies with {self.library}")
        self.layer, self.weights = layer, {role: layer.values(role) for role in layer.ROLES}
        return f"products of numpy, expert after expert, SwiGLU and sum in numpy; {layer.threads} threads, sleeping as by default"

    def prepare(self, batches):
        self.batches = batches

    def feed(self, name, batch):
        self.fed = [self.batches.array(part, batch) for part in ("states", "ids", "weights")]

    def compute(self, name):
        states, ids, shares = self.fed
        output = numpy.zeros_like(states)
        order = ids.ravel().argsort(kind="stable")
        tokens, weights = order // ids.shape[1], shares.ravel()[order, None]
        ends = numpy.bincount(ids.ravel(), minlength=self.layer.experts).cumsum()
        start = 0
        for expert, end in enumerate(ends):
            if end > start:
                rows = states[tokens[start:end]]
                gate, up = self.product(rows, "gate", expert), self.product(rows, "up", expert)
                numpy.multiply(up, gate, out=up)
                # silu(gate) * up; exp of large numbers may be infinite, the quotient is then 0.
                with numpy.errstate(over="ignore"):
                    numpy.negative(gate, out=gate)
                    numpy.exp(gate, out=gate)
                gate += 1
                up /= gate
                # A token meets an expert once: no index occurs twice.
                output[tokens[start:end]] += self.product(up, "down", expert) * weights[start:end]
            start = end
        self.output = output

    def product(self, rows, role, expert):
        return rows @ self.weights[role][expert].T

    def finish(self, name):
        self.batches.array("output")[:] = self.output


if __name__ == "__main__":
    serve(OpenBLAS())
