"""What every driver does: lines of JSON on standard input and output, weights and tokens in two files mapped from descriptors 3 and 4.

Requests are `load`, `prepare` and `run`, each answered by one line; `{"error": "..."}` is an answer too. The end of the input ends the driver.
"""

import ctypes
import glob
import json
import mmap
import os
import signal
import sys
import time

WEIGHTS, EXCHANGE = 3, 4


class Refusal(Exception):
    """A system that cannot compute this layer, and why."""


class Mapped:
    """A file that kernbench handed over, in memory."""

    def __init__(self, descriptor):
        self.map = mmap.mmap(descriptor, 0)
        self.base = ctypes.addressof(ctypes.c_char.from_buffer(self.map))

    def address(self, offset):
        return self.base + offset

    def view(self, offset, size):
        return memoryview(self.map)[offset : offset + size]

    def array(self, offset, shape, kind="<f4"):
        """A numpy array over the file, not a copy."""
        import numpy

        count = 1
        for size in shape:
            count *= size
        return numpy.frombuffer(self.map, dtype=kind, count=count, offset=offset).reshape(shape)


class Layer:
    """The layer of a `load` request: its sizes, and where its matrices lie in the file of weights."""

    ROLES = ("gate", "up", "down")

    def __init__(self, request):
        self.hidden = request["hidden"]
        self.intermediate = request["intermediate"]
        self.experts = request["experts"]
        self.top_k = request["topK"]
        self.threads = request["threads"]
        self.formats = dict(zip(self.ROLES, request["formats"]))
        self.types = dict(zip(self.ROLES, request["ggufTypes"]))
        # Byte offset and size of each role's published blocks, and byte offset of its decoded f32 values; absent where nobody asked for them.
        self.blocks = dict(zip(self.ROLES, request.get("blocks") or []))
        self.decoded = dict(zip(self.ROLES, request.get("values") or []))
        self.weights = Mapped(WEIGHTS)

    def shape(self, role):
        """[experts, rows, columns]."""
        rows = (self.experts, self.intermediate, self.hidden)
        return (self.experts, self.hidden, self.intermediate) if role == "down" else rows

    def values(self, role):
        """Decoded f32 values [experts, rows, columns], not a copy."""
        return self.weights.array(self.decoded[role], self.shape(role))

    def block_bytes(self, role):
        """Published blocks as bytes [experts, rows, bytes of a row], not a copy."""
        offset, size = self.blocks[role]
        experts, rows, _ = self.shape(role)
        return self.weights.array(offset, (experts, rows, size // (experts * rows)), "u1")


class Batches:
    """The tokens of a `prepare` request: batches of states [tokens, hidden], expert ids and weights [tokens, topK], and one output."""

    def __init__(self, request, layer):
        self.tokens, self.count, self.layer = request["tokens"], request["batches"], layer
        self.offsets = {name: request[name] for name in ("states", "ids", "weights", "output")}
        self.exchange = Mapped(EXCHANGE)

    def address(self, name, batch):
        return self.exchange.address(self.offsets[name] + batch * self.size(name))

    def size(self, name):
        """Bytes of one batch."""
        return 4 * self.tokens * (self.layer.hidden if name in ("states", "output") else self.layer.top_k)

    def array(self, name, batch=0):
        """States, ids, weights or output of one batch as a numpy array, not a copy."""
        columns = self.layer.hidden if name in ("states", "output") else self.layer.top_k
        return self.exchange.array(self.offsets[name] + batch * self.size(name), (self.tokens, columns), "<i4" if name == "ids" else "<f4")


class Driver:
    """A peer: drivers override all of this but `timed`."""

    version = ""

    def load(self, layer, name):
        """Makes a system ready; returns its settings in words, or raises Refusal."""
        raise NotImplementedError

    def prepare(self, batches):
        """Gets every loaded system ready for batches of this size."""
        raise NotImplementedError

    def feed(self, name, batch):
        """Hands a batch over; not timed."""
        raise NotImplementedError

    def compute(self, name):
        """Computes the batch last fed; timed."""
        raise NotImplementedError

    def finish(self, name):
        """Writes the output, and sends threads to sleep; not timed."""
        raise NotImplementedError

    def timed(self, request):
        name = request["system"]
        for batch in request["warm"]:
            self.feed(name, batch)
            self.compute(name)
        self.feed(name, request["batch"])
        waited = waits()
        start = time.perf_counter()
        self.compute(name)
        seconds = time.perf_counter() - start
        waited = waits() - waited
        self.finish(name)
        return {"seconds": seconds, "waited": waited}


def waits():
    """Seconds that this process's threads have been ready to run and had no CPU, altogether; 0 where the system does not tell."""
    total = 0
    for path in glob.glob("/proc/self/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[1])
        except OSError:
            pass  # The thread has ended.
    return total * 1e-9


def die_with_parent():
    """Linux alone has a call for that; elsewhere the end of standard input does it, once a computation is over."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() == 1:
            sys.exit(1)


def serve(driver):
    """Answers requests until standard input ends."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    layer = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["do"] == "load":
                layer, systems = Layer(request), []
                for name in request["systems"]:
                    try:
                        systems.append({"name": name, "settings": driver.load(layer, name), "version": driver.version})
                    except (Refusal, MemoryError) as reason:
                        systems.append({"name": name, "reason": str(reason) or "there is too little memory"})
                answer = {"systems": systems}
            elif request["do"] == "prepare":
                driver.prepare(Batches(request, layer))
                answer = {"ready": True}
            else:
                answer = driver.timed(request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
