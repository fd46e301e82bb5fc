"""Networks as `.onnx` files that are run one frame at a time: what a layer remembers is an input, `state.NAME`, zeros at
first, and what it will remember an output, `next.state.NAME`, in the same place. Weights keep their names.
"""
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


class Graph:
    def __init__(self, weights):
        self.tensors = dict(weights)
        self.nodes, self.states, self.count = [], [], 0

    def node(self, kind, *inputs, out=None, **attributes):
        """Inputs are names, or constants; returns the name of the output."""
        inputs = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        self.count += 1
        out = out or f'{kind.lower()}.{self.count}'
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def constant(self, value):
        name = f'constant.{len(self.tensors)}'
        self.tensors[name] = np.asarray(value, 'i8' if np.asarray(value).dtype.kind == 'i' else 'f4')
        return name

    def part(self, x, axis, first, end):
        return self.node('Slice', x, [first], [end], [axis])

    def remember(self, name, newest, shape):
        """The past of `shape`, time last, and the newest."""
        state, last = f'state.{name}', len(shape) - 1
        seen = self.node('Concat', state, newest, axis=last)
        self.node('Slice', seen, [1], [2 ** 62], [last], out=f'next.{state}')
        self.states.append((state, shape))
        return seen

    def save(self, path, frame, answer, about):
        """`frame` and `answer` are names and shapes."""
        value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(
            self.nodes, 'step',
            [value(*frame)] + [value(*state) for state in self.states],
            [value(*answer)] + [value(f'next.{name}', shape) for name, shape in self.states],
            [numpy_helper.from_array(np.ascontiguousarray(tensor), name) for name, tensor in self.tensors.items()],
            doc_string=about)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)


def run(path, frames):
    """What ONNX Runtime answers to each of the frames."""
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    frame, *states = session.get_inputs()
    past = {state.name: np.zeros(state.shape, 'f4') for state in states}
    answers = []
    for x in frames:
        answer, *after = session.run(None, {frame.name: x[None].astype('f4')} | past)
        past = dict(zip(past, after))
        answers.append(answer[0])
    return np.array(answers)


def assert_close(found, expected, what):
    error = np.abs(found - expected).max()
    print(f'{what}: largest difference to the training code {error:.1e}')
    assert error < 1e-4, what
