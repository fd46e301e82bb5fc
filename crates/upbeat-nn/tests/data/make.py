"""Writes layers.safetensors and layers.onnx, the same network for both kinds of reader, beside this file.

  python3 make.py        # needs numpy, onnx, safetensors

One frame per run: every layer's past is an input, and the past for the next frame an output. Sizes of the batch are left
open, as exporters often do.
"""
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

LAYERS = [
    {"kind": "causal_conv", "name": "conv", "dilation": 2, "activation": "relu"},
    {"kind": "depthwise_conv", "name": "depth", "activation": "leaky_relu"},
    {"kind": "dense", "name": "point", "activation": "tanh"},
    {"kind": "gru", "name": "gru"},
    {"kind": "dense", "name": "out", "activation": "softmax"},
]
SHAPES = {
    "conv.weight": (6, 4, 3), "conv.bias": (6,),
    "depth.weight": (6, 1, 2), "depth.bias": (6,),
    "point.weight": (5, 6), "point.bias": (5,),
    "gru.weight_ih": (9, 5), "gru.weight_hh": (9, 3), "gru.bias_ih": (9,), "gru.bias_hh": (9,),
    "out.weight": (2, 3), "out.bias": (2,),
}


def main():
    folder = Path(__file__).parent
    rng = np.random.default_rng(1)
    tensors = {name: rng.uniform(-0.7, 0.7, shape).astype("f4") for name, shape in SHAPES.items()}
    save_file(tensors, folder / "layers.safetensors", metadata={"net.layers": json.dumps(LAYERS)})

    # ONNX has a GRU's gates in the order update, reset, new; PyTorch and this project reset, update, new.
    gates = [slice(3, 6), slice(0, 3), slice(6, 9)]
    reorder = lambda name: np.concatenate([tensors[name][g] for g in gates])
    own = dict(tensors)
    for name in ["gru.weight_ih", "gru.weight_hh"]:
        own[name] = reorder(name)[None]
    own["gru.bias"] = np.concatenate([reorder("gru.bias_ih"), reorder("gru.bias_hh")])[None]
    del own["gru.bias_ih"], own["gru.bias_hh"]
    own |= {"one": np.array([1], "i8"), "last": np.array([2**62], "i8"), "time": np.array([2], "i8"), "front": np.array([0], "i8")}
    nodes = []

    def node(kind, inputs, output, **attributes):
        nodes.append(helper.make_node(kind, inputs, output if isinstance(output, list) else [output], **attributes))

    def past(name, frame):
        """The frames a convolution sees, and those it will keep."""
        node("Concat", [f"past.{name}", frame], f"{name}.seen", axis=2)
        node("Slice", [f"{name}.seen", "one", "last", "time"], f"next.past.{name}")

    node("Unsqueeze", ["frame", "time"], "column")
    past("conv", "column")
    node("Conv", ["conv.seen", "conv.weight", "conv.bias"], "conv.sum", dilations=[2], kernel_shape=[3])
    node("Relu", ["conv.sum"], "conv.out")
    past("depth", "conv.out")
    node("Conv", ["depth.seen", "depth.weight", "depth.bias"], "depth.sum", group=6, kernel_shape=[2])
    node("LeakyRelu", ["depth.sum"], "depth.out", alpha=0.01)
    node("Squeeze", ["depth.out", "time"], "depth.row")
    node("Gemm", ["depth.row", "point.weight", "point.bias"], "point.sum", transB=1)
    node("Tanh", ["point.sum"], "point.out")
    node("Unsqueeze", ["point.out", "front"], "sequence")
    node("GRU", ["sequence", "gru.weight_ih", "gru.weight_hh", "gru.bias", "", "state.gru"], ["", "next.state.gru"],
         hidden_size=3, linear_before_reset=1)
    node("Squeeze", ["next.state.gru", "front"], "gru.row")
    node("Gemm", ["gru.row", "out.weight", "out.bias"], "out.sum", transB=1)
    node("Softmax", ["out.sum"], "answer", axis=1)

    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    states = {"past.conv": ("batch", 4, 4), "past.depth": ("batch", 6, 1), "state.gru": (1, "batch", 3)}
    graph = helper.make_graph(
        nodes,
        "layers",
        [value("frame", "batch", 4)] + [value(name, *shape) for name, shape in states.items()],
        [value("answer", "batch", 2)] + [value(f"next.{name}", *shape) for name, shape in states.items()],
        [numpy_helper.from_array(tensor, name) for name, tensor in own.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, folder / "layers.onnx")


if __name__ == "__main__":
    main()
