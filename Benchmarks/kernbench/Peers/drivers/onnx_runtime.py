"""ONNX Runtime: its MoE operator on f32 weights, and QMoE on int4 and int8 blocks of 32 that hold exactly the values of q4_0 and q8_0.

The operators route by themselves. QMoE is handed the weights; MoE gets logits whose softmax gives them.
"""

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper

from protocol import Driver, Refusal, serve

BLOCK = 32
# What each system multiplies by: the format whose values it holds exactly, bits, and MatMulNBits' accuracy level.
QUANTIZED = {"onnxruntime-int4": ("q4_0", 4, 0), "onnxruntime-int4-acc4": ("q4_0", 4, 4), "onnxruntime-int8": ("q8_0", 8, 4)}


def codes(blocks, bits):
    """Codes with 8 or 128 for zero as QMoE packs them, columns in order, and f32 scales, from published blocks [experts, rows, bytes]."""
    experts, rows, size = blocks.shape
    each = blocks.reshape(experts, rows, -1, 18 if bits == 4 else 34)
    scales = numpy.ascontiguousarray(each[..., :2]).view("<f2")[..., 0].astype("<f4")
    stored = each[..., 2:]
    if bits == 8:
        return (stored ^ 0x80).reshape(experts, rows, -1), scales
    # q4_0 has columns c and c + 16 in one byte, QMoE has 2c and 2c + 1.
    low, high = stored & 15, stored >> 4
    columns = numpy.concatenate([low, high], axis=-1)
    return (columns[..., 0::2] | columns[..., 1::2] << 4).reshape(experts, rows, -1), scales


def taking_turns(gate, up):
    """Rows of gate and up one by one, as swiglu_fusion=1 wants them."""
    both = numpy.empty((gate.shape[0], 2 * gate.shape[1], *gate.shape[2:]), gate.dtype)
    both[:, 0::2], both[:, 1::2] = gate, up
    return both


class System:
    """A session with one operator whose weights are initializers handed over in memory."""

    def __init__(self, layer, operator, attributes, weights, inputs):
        names = list(weights)
        slots = {
            "MoE": ["states", "router", "fc1", "", "fc2"],
            "QMoE": ["states", "router", "fc1", "fc1_scales", "", "fc2", "fc2_scales", "", "", "", "", "", "", "", "shares"],
        }[operator]
        node = helper.make_node(
            operator, slots, ["output"], domain="com.microsoft", k=layer.top_k, activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.0,
            activation_beta=0.0, **attributes)
        initializers = []
        for name in names:
            tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(weights[name].dtype), dims=weights[name].shape)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="weights")
            initializers.append(tensor)
        widths = {"states": layer.hidden, "router": layer.experts, "shares": layer.experts}
        graph = helper.make_graph(
            [node], "layer", [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["tokens", widths[name]]) for name in inputs],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["tokens", layer.hidden])], initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = layer.threads, 1
        # Threads spin while the session runs and stop when it has run.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1")
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self.weights = [onnxruntime.OrtValue.ortvalue_from_numpy(weights[name]) for name in names]
        options.add_external_initializers(names, self.weights)
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.inputs, self.feeds, self.output = inputs, {}, None


class OnnxRuntime(Driver):
    version = f"onnxruntime {onnxruntime.__version__}"

    def __init__(self):
        self.systems, self.layer, self.batches = {}, None, None

    def load(self, layer, name):
        self.layer = layer
        if name == "onnxruntime-f32":
            weights = {"fc1": taking_turns(layer.values("gate"), layer.values("up")), "fc2": layer.values("down")}
            self.systems[name] = System(layer, "MoE", {"normalize_routing_weights": 0}, weights, ["states", "router"])
            words = "MoE, f32"
        else:
            published, bits, level = QUANTIZED[name]
            others = {form for form in layer.formats.values() if form != published}
            if others:
                raise Refusal(f"int{bits} blocks of {BLOCK} hold the values of {published} exactly, not those of {' and '.join(sorted(others))}")
            made = {role: codes(layer.block_bytes(role), bits) for role in layer.ROLES}
            weights = {
                "fc1": taking_turns(made["gate"][0], made["up"][0]), "fc1_scales": taking_turns(made["gate"][1], made["up"][1]),
                "fc2": made["down"][0], "fc2_scales": made["down"][1],
            }
            attributes = {
                "expert_weight_bits": bits, "block_size": BLOCK, "accuracy_level": level, "normalize_routing_weights": 0, "weights_prepacked": 0,
            }
            self.systems[name] = System(layer, "QMoE", attributes, weights, ["states", "router", "shares"])
            words = f"QMoE, {bits} bits, block_size={BLOCK}, accuracy_level={level}"
        return f"{words}; {layer.threads} threads, allow_spinning=1, force_spinning_stop=1"

    def prepare(self, batches):
        self.batches = batches

    def routing(self, batch):
        """Logits whose softmax is the weight of each chosen expert, and those weights [tokens, experts]."""
        ids, weights = self.batches.array("ids", batch), self.batches.array("weights", batch)
        shares = numpy.zeros((self.batches.tokens, self.layer.experts), "f4")
        numpy.put_along_axis(shares, ids.astype("i8"), weights, axis=1)
        # What a token's experts lack to 1 is spread over the others, each then below the chosen ones as in any softmax.
        rest = numpy.maximum(1 - weights.sum(axis=1, keepdims=True, dtype="f8"), 0)
        others = max(self.layer.experts - self.layer.top_k, 1)
        spread = numpy.where(shares > 0, shares, rest / others)
        return numpy.log(numpy.maximum(spread, 1e-30)).astype("f4"), shares

    def feed(self, name, batch):
        logits, shares = self.routing(batch)
        given = {"states": self.batches.array("states", batch), "router": logits, "shares": shares}
        system = self.systems[name]
        system.feeds = {key: numpy.ascontiguousarray(given[key]) for key in system.inputs}

    def compute(self, name):
        system = self.systems[name]
        system.output = system.session.run(None, system.feeds)[0]

    def finish(self, name):
        self.batches.array("output")[:] = self.systems[name].output


if __name__ == "__main__":
    serve(OnnxRuntime())
