"""Writes beats.onnx from the weights, and what the weights answer, for the tests of the Rust code to compare with.

  export_onnx.py --weights DIR --golden DIR

Reads DIR/beats.safetensors, writes DIR/beats.onnx, which takes a frame and its past (see ../streaming_onnx.py), and
checks it against the training code. beat_net.txt has a line of logits for each frame of an input that both sides make by
the same formula.
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

ABOUT = '''One step of the beat network, 50 a second. frame: 32 levels / 3, then 2 max(0, rise) of each. logits: beat, downbeat,
of 60 ms ago. See training/beats/README.md in upbeat-predict.'''


def export(path, weights):
    graph = streaming_onnx.Graph(weights)
    node = graph.node
    y = node('Conv', node('Unsqueeze', 'frame', [2]), 'first.weight', 'first.bias')
    for i in range(train.LAYERS):
        seen = graph.remember(f'past.{i}', y, [1, len(weights['first.bias']), 2 << i])
        z = node('Elu', node('Conv', seen, f'past.{i}.weight', f'past.{i}.bias', dilations=[1 << i]))
        y = node('Add', y, node('Conv', z, f'mix.{i}.weight', f'mix.{i}.bias'))
    last = node('Conv', node('Elu', y), 'last.weight', 'last.bias')
    node('Squeeze', last, [2], out='logits')
    graph.save(path, ('frame', [1, 2 * train.BANDS]), ('logits', [1, 2]), ABOUT)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', required=True)
    parser.add_argument('--golden', required=True)
    a = parser.parse_args()
    path = os.path.join(a.weights, 'beats.safetensors')
    weights = load_arrays(path)
    export(os.path.join(a.weights, 'beats.onnx'), weights)
    torch.set_num_threads(1)
    net = train.Net(len(weights['first.bias']))
    net.load_state_dict(load_file(path))
    t, b = np.mgrid[0:300, 0:train.BANDS]
    frames = train.inputs(((t * 7 + b * 13 + t * b) % 29 / 7).astype('f4'))
    with torch.no_grad():
        logits = net(torch.tensor(frames)[None])[0].numpy().T
    streaming_onnx.assert_close(streaming_onnx.run(os.path.join(a.weights, 'beats.onnx'), frames.T), logits, 'beats.onnx')
    np.savetxt(os.path.join(a.golden, 'beat_net.txt'), logits, fmt='%.5f')


if __name__ == '__main__':
    main()
