"""A peer for tests, which needs nothing but Python: its one argument says whether it answers or what is wrong with it."""

import array
import math
import os
import sys
import threading
import time

from protocol import Driver, Refusal, serve


class Fake(Driver):
    version = "fake 1"

    def __init__(self, manner):
        self.manner, self.layer, self.batches, self.batch, self.output = manner, None, None, 0, None

    def load(self, layer, name):
        if self.manner == "refuses":
            raise Refusal("it does not like the layer")
        if self.manner == "spins":
            threading.Thread(target=self.spin, daemon=True).start()
        self.layer = layer
        return "one thread of Python"

    @staticmethod
    def spin():
        while True:
            pass

    def prepare(self, batches):
        self.batches = batches

    def feed(self, name, batch):
        self.batch = batch

    def row(self, role, expert, index):
        """One row of decoded weights."""
        _, rows, columns = self.layer.shape(role)
        return self.layer.weights.view(self.layer.decoded[role] + 4 * (expert * rows + index) * columns, 4 * columns).cast("f")

    def part(self, name, kind):
        offset = self.batches.offsets[name] + self.batch * self.batches.size(name)
        return self.batches.exchange.view(offset, self.batches.size(name)).cast(kind)

    def product(self, role, expert, vector):
        rows = self.layer.shape(role)[1]
        return [sum(a * b for a, b in zip(self.row(role, expert, index), vector)) for index in range(rows)]

    def compute(self, name):
        if self.manner == "dies":
            print("fake: it is over", file=sys.stderr, flush=True)
            os._exit(3)
        if self.manner == "hangs":
            time.sleep(1000)
        if self.manner == "raises":
            raise ValueError("no number")
        hidden, top_k = self.layer.hidden, self.layer.top_k
        states, ids, shares = self.part("states", "f"), self.part("ids", "i"), self.part("weights", "f")
        self.output = array.array("f", [0]) * (self.batches.tokens * hidden)
        for token in range(self.batches.tokens):
            vector = states[token * hidden : (token + 1) * hidden].tolist()
            for slot in range(token * top_k, (token + 1) * top_k):
                gate, up = self.product("gate", ids[slot], vector), self.product("up", ids[slot], vector)
                down = self.product("down", ids[slot], [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up)])
                for column in range(hidden):
                    self.output[token * hidden + column] += shares[slot] * down[column] * (1.1 if self.manner == "errs" else 1)

    def finish(self, name):
        self.batches.exchange.view(self.batches.offsets["output"], self.batches.size("output")).cast("f")[:] = memoryview(self.output)


if __name__ == "__main__":
    if sys.argv[1] == "babbles":
        print("Welcome!", flush=True)
    serve(Fake(sys.argv[1]))
