"""Writes chords.onnx from the weights.

  export_onnx.py --weights DIR

Reads DIR/chords.safetensors, writes DIR/chords.onnx, which takes a row and its past (see ../streaming_onnx.py), and checks
it against the training code.
"""
import argparse
import os
import sys

import numpy as np
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

import train

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..'))
import streaming_onnx

ABOUT = '''One step of the chord network, ten a second. row: 84 semitones, three bands each. logits: 11 qualities on each of 12
roots, then no chord, of five rows ago; meaningless for the first five. See training/harmony/README.md in upbeat-predict.'''


def export(path, weights):
    graph = streaming_onnx.Graph({name: tensor for name, tensor in weights.items() if name != 'change'})
    node, part, hidden = graph.node, graph.part, train.HIDDEN
    folded = train.PARTIALS * train.REGISTERS

    x = node('Transpose', node('Reshape', 'row', [1, train.SEMITONES, train.THIRDS]), perm=[0, 2, 1])
    x = node('Relu', node('Conv', x, 'pitch_weight', 'pitch_bias', pads=[train.BELOW, train.ABOVE]))
    octaves = node('MatMul', 'register', train.Net().between.numpy().T)
    octaves = node('Reshape', octaves, [train.PARTIALS, train.REGISTERS, 7, 12])
    x = node('Mul', node('Reshape', x, [train.PARTIALS, 1, 7, 12]), octaves)
    x = node('Reshape', node('ReduceSum', x, [2], keepdims=0), [1, folded, 12])
    x = node('Concat', x, part(x, 2, 0, 11), axis=2)        # around the circle
    x = node('Relu', node('Conv', x, 'class_weight', 'class_bias'))
    x = node('Transpose', x, perm=[2, 1, 0])                # root, hidden, time

    # The first convolution in time tells of two rows ago: of nothing, in the first two rows.
    seen = graph.remember('hidden', x, [12, hidden, 4])
    x = node('Relu', node('Conv', seen, 'near_weight', 'near_bias'))
    started = graph.remember('started', np.ones((1, 1, 1)), [1, 1, 2])
    x = node('Mul', node('Add', part(seen, 2, 2, 3), x), part(started, 2, 0, 1))

    # The second of three rows before that.
    seen = graph.remember('near', x, [12, hidden, 8])
    x = node('Relu', node('Conv', seen, 'far_weight', 'far_bias', dilations=[2]))
    x = node('Squeeze', node('Add', part(seen, 2, 5, 6), x), [2])

    quality = node('Reshape', node('Gemm', x, 'quality_weight', 'quality_bias', transB=1), [1, -1])
    silence = node('MatMul', node('ReduceMean', x, axes=[0], keepdims=1), node('Unsqueeze', 'silence_weight', [1]))
    node('Concat', quality, node('Add', silence, 'silence_bias'), axis=1, out='logits')
    classes = 12 * len(weights['quality_bias']) + 1
    graph.save(path, ('row', [1, train.SEMITONES * train.THIRDS]), ('logits', [1, classes]), ABOUT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', required=True)
    a = parser.parse_args()
    path = os.path.join(a.weights, 'chords.safetensors')
    export(os.path.join(a.weights, 'chords.onnx'), load_arrays(path))
    torch.set_num_threads(1)
    net = train.Net()
    net.load_state_dict({k: v for k, v in load_file(path).items() if k != 'change'})
    rows = np.random.default_rng(1).uniform(0, 1.5, (40, train.SEMITONES * train.THIRDS)).astype('f4')
    with torch.no_grad():
        logits = net(torch.tensor(rows)[None])[0].numpy()
    found = streaming_onnx.run(os.path.join(a.weights, 'chords.onnx'), rows)
    streaming_onnx.assert_close(found[train.AHEAD:], logits[:-train.AHEAD], 'chords.onnx')


if __name__ == '__main__':
    main()
