"""llama.cpp: an MoE layer as ggml computes it, through the shared libraries' public C interface.

Systems end in "-repack" where weights lie in ggml's CPU_REPACK buffers, each matrix that has such a form; else they lie as in the file.
"""

import ctypes
import os
import sys

from protocol import Driver, Layer, Refusal, serve

F32, I32 = 0, 26
P, I64, SIZE, INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_size_t, ctypes.c_int


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", SIZE), ("mem_buffer", P), ("no_alloc", ctypes.c_bool)]


def library(folder):
    """The libraries, with the types of the functions used; functions are looked up in the one that has them."""
    loaded = [ctypes.CDLL(os.path.join(folder, f"libggml{name}.so"), mode=ctypes.RTLD_GLOBAL) for name in ("-base", "-cpu", "")]
    ggml = type("Functions", (), {})()
    for name, result, arguments in [
        ("ggml_init", P, [InitParams]), ("ggml_free", None, [P]), ("ggml_version", ctypes.c_char_p, []), ("ggml_commit", ctypes.c_char_p, []),
        ("ggml_new_tensor_2d", P, [P, INT, I64, I64]), ("ggml_new_tensor_3d", P, [P, INT, I64, I64, I64]), ("ggml_nbytes", SIZE, [P]),
        ("ggml_mul_mat_id", P, [P, P, P, P]), ("ggml_swiglu_split", P, [P, P, P]), ("ggml_mul", P, [P, P, P]), ("ggml_add", P, [P, P, P]),
        ("ggml_cont", P, [P, P]), ("ggml_view_2d", P, [P, P, I64, I64, SIZE, SIZE]), ("ggml_set_input", None, [P]), ("ggml_set_output", None, [P]),
        ("ggml_new_graph", P, [P]), ("ggml_build_forward_expand", None, [P, P]), ("ggml_gallocr_new", P, [P]),
        ("ggml_gallocr_alloc_graph", ctypes.c_bool, [P, P]), ("ggml_gallocr_free", None, [P]),
        ("ggml_backend_alloc_ctx_tensors_from_buft", P, [P, P]), ("ggml_backend_buffer_free", None, [P]),
        ("ggml_backend_tensor_set", None, [P, P, SIZE, SIZE]), ("ggml_backend_tensor_get", None, [P, P, SIZE, SIZE]),
        ("ggml_backend_cpu_init", P, []), ("ggml_backend_cpu_buffer_type", P, []), ("ggml_backend_cpu_set_n_threads", None, [P, INT]),
        ("ggml_backend_cpu_set_threadpool", None, [P, P]), ("ggml_backend_graph_compute", INT, [P, P]),
        ("ggml_backend_supports_op", ctypes.c_bool, [P, P]),
        ("ggml_backend_cpu_reg", P, []), ("ggml_backend_reg_dev_get", P, [P, SIZE]), ("ggml_backend_reg_get_proc_address", P, [P, ctypes.c_char_p]),
        ("ggml_backend_buft_name", ctypes.c_char_p, [P]), ("ggml_threadpool_params_init", None, [P, INT]), ("ggml_threadpool_new", P, [P]),
        ("ggml_threadpool_pause", None, [P]), ("ggml_threadpool_resume", None, [P]),
    ]:
        function = next(getattr(part, name) for part in loaded if hasattr(part, name))
        function.restype, function.argtypes = result, arguments
        setattr(ggml, name, function)
    return ggml


class System:
    """Weights of one layer in one kind of buffer, and the graph for one number of tokens."""

    def __init__(self, peer, layer, buffer_type):
        self.ggml, self.peer, self.layer, self.graph_context, self.allocator = peer.ggml, peer, layer, None, None
        self.weights, self.repacked = {}, []
        for role in Layer.ROLES:
            _, rows, columns = layer.shape(role)
            made = self.tensor(role, columns, rows, buffer_type) if buffer_type else None
            if made:
                self.repacked.append(role)
            self.weights[role] = made or self.tensor(role, columns, rows, peer.plain)
        if buffer_type and not self.repacked:
            raise Refusal(f"ggml repacks no {'/'.join(dict.fromkeys(layer.formats.values()))} on this CPU")

    def tensor(self, role, columns, rows, buffer_type):
        """One matrix of all experts, filled; None where this kind of buffer does not take its products."""
        ggml, layer = self.ggml, self.layer
        context = self.peer.context()
        tensor = ggml.ggml_new_tensor_3d(context, layer.types[role], columns, rows, layer.experts)
        offset, size = layer.blocks[role]
        if ggml.ggml_nbytes(tensor) != size:
            raise Refusal(f"ggml takes {ggml.ggml_nbytes(tensor)} bytes for {role} in {layer.formats[role]}, not {size}")
        buffer = ggml.ggml_backend_alloc_ctx_tensors_from_buft(context, buffer_type)
        if not buffer:
            raise Refusal(f"ggml has no memory for {size} bytes of {role}")
        product = ggml.ggml_mul_mat_id(
            context, tensor, ggml.ggml_new_tensor_3d(context, F32, columns, 1, 1), ggml.ggml_new_tensor_2d(context, I32, layer.top_k, 1))
        if not ggml.ggml_backend_supports_op(self.peer.backend, product):
            ggml.ggml_backend_buffer_free(buffer)
            ggml.ggml_free(context)
            return None
        ggml.ggml_backend_tensor_set(tensor, layer.weights.address(offset), 0, size)
        return tensor

    def prepare(self, batches):
        """The graph of llama.cpp's own models: products, SwiGLU, weights of the router, and a sum over the experts of a token."""
        ggml, layer, tokens = self.ggml, self.layer, batches.tokens
        if self.graph_context:
            ggml.ggml_gallocr_free(self.allocator)
            ggml.ggml_free(self.graph_context)
        context = self.graph_context = self.peer.context(1 << 22)
        self.batches = batches
        self.states = ggml.ggml_new_tensor_3d(context, F32, layer.hidden, 1, tokens)
        self.ids = ggml.ggml_new_tensor_2d(context, I32, layer.top_k, tokens)
        self.shares = ggml.ggml_new_tensor_3d(context, F32, 1, layer.top_k, tokens)
        for tensor in (self.states, self.ids, self.shares):
            ggml.ggml_set_input(tensor)
        up = ggml.ggml_mul_mat_id(context, self.weights["up"], self.states, self.ids)
        gate = ggml.ggml_mul_mat_id(context, self.weights["gate"], self.states, self.ids)
        down = ggml.ggml_mul_mat_id(context, self.weights["down"], ggml.ggml_swiglu_split(context, gate, up), self.ids)
        weighted = ggml.ggml_mul(context, down, self.shares)
        self.graph = ggml.ggml_new_graph(context)
        row = 4 * layer.hidden
        parts = [ggml.ggml_view_2d(context, weighted, layer.hidden, tokens, row * layer.top_k, row * slot) for slot in range(layer.top_k)]
        ggml.ggml_build_forward_expand(self.graph, weighted)
        for part in parts:
            ggml.ggml_build_forward_expand(self.graph, part)
        total = parts[0]
        for part in parts[1:]:
            total = ggml.ggml_add(context, total, part)
            ggml.ggml_build_forward_expand(self.graph, total)
        self.output = ggml.ggml_cont(context, total) if len(parts) == 1 else total
        ggml.ggml_set_output(self.output)
        ggml.ggml_build_forward_expand(self.graph, self.output)
        self.allocator = ggml.ggml_gallocr_new(self.peer.plain)
        if not ggml.ggml_gallocr_alloc_graph(self.allocator, self.graph):
            raise MemoryError(f"ggml has no memory for the graph of {tokens} tokens")


class LlamaCpp(Driver):
    def __init__(self, folder):
        self.ggml = library(folder)
        self.version = f"ggml {self.ggml.ggml_version().decode()} ({self.ggml.ggml_commit().decode()})"
        self.backend, self.plain, self.systems, self.pool = self.ggml.ggml_backend_cpu_init(), self.ggml.ggml_backend_cpu_buffer_type(), {}, None

    def context(self, size=1 << 16):
        return self.ggml.ggml_init(InitParams(size, None, True))

    def repack_type(self):
        registry = self.ggml.ggml_backend_cpu_reg()
        device = self.ggml.ggml_backend_reg_dev_get(registry, 0)
        address = self.ggml.ggml_backend_reg_get_proc_address(registry, b"ggml_backend_dev_get_extra_bufts")
        kinds = ctypes.CFUNCTYPE(ctypes.POINTER(P), P)(address)(device) if address else None
        index = 0
        while kinds and kinds[index]:
            if self.ggml.ggml_backend_buft_name(kinds[index]) == b"CPU_REPACK":
                return kinds[index]
            index += 1
        raise Refusal("this ggml was built without CPU_REPACK")

    def load(self, layer, name):
        if not self.pool:
            parameters = ctypes.create_string_buffer(4096)
            self.ggml.ggml_threadpool_params_init(parameters, layer.threads)
            self.pool = self.ggml.ggml_threadpool_new(parameters)
            self.ggml.ggml_backend_cpu_set_n_threads(self.backend, layer.threads)
            self.ggml.ggml_backend_cpu_set_threadpool(self.backend, self.pool)
        is_repacked = name.endswith("-repack")
        system = self.systems[name] = System(self, layer, self.repack_type() if is_repacked else None)
        words = f"CPU_REPACK: {' '.join(system.repacked)}" if is_repacked else "file layout"
        return f"{words}; {layer.threads} threads of {self.threads_of()}"

    @staticmethod
    def threads_of():
        """OpenMP's where the compiler had it, which ignore the pool's pauses and sleep once they have spun for a while."""
        try:
            with open("/proc/self/maps") as file:
                if any("libgomp" in line or "libomp" in line for line in file):
                    return "OpenMP, spinning and sleeping as by default"
        except OSError:
            pass
        return "ggml's own pool, polling as by default, paused between timings"

    def prepare(self, batches):
        for system in self.systems.values():
            system.prepare(batches)

    def feed(self, name, batch):
        system = self.systems[name]
        for tensor, part in ((system.states, "states"), (system.ids, "ids"), (system.shares, "weights")):
            self.ggml.ggml_backend_tensor_set(tensor, system.batches.address(part, batch), 0, system.batches.size(part))
        self.ggml.ggml_threadpool_resume(self.pool)

    def compute(self, name):
        status = self.ggml.ggml_backend_graph_compute(self.backend, self.systems[name].graph)
        if status != 0:
            raise RuntimeError(f"ggml_backend_graph_compute returned {status}")

    def finish(self, name):
        system = self.systems[name]
        self.ggml.ggml_threadpool_pause(self.pool)
        self.ggml.ggml_backend_tensor_get(system.output, system.batches.address("output", 0), 0, system.batches.size("output"))


if __name__ == "__main__":
    serve(LlamaCpp(sys.argv[1]))
