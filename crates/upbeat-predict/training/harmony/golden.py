"""What the shipped weights answer, computed here, for the tests of the Rust code to compare with.

  golden.py --weights DIR --out DIR

Reads DIR/chords.safetensors and DIR/next_chord.safetensors; writes chord_net.txt (a line of logits for each row of an
input that both sides make by the same formula) and next_chord.txt (triad, beats, then the probabilities of the 24
triads to come and of the 16 durations of the chord that begins).
"""
import argparse
import os

import numpy as np
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import load_file

import chords
import next_chord
import train


def net(path, out):
    weights = load_file(path)
    model = train.Net()
    model.load_state_dict({k: v for k, v in weights.items() if k != 'change'})
    t, b = np.mgrid[0:20, 0:252]
    rows = ((t * 7 + b * 13 + t * b) % 29 / 29).astype(np.float32)
    with torch.no_grad():
        # The last five rows see zeros ahead; the Rust code never answers them.
        logits = model(torch.tensor(rows)[None])[0].numpy()[:-5]
    np.savetxt(out, logits, fmt='%.5f')


def after(path, out):
    tensors = load_arrays(path)
    song = [(0, 4), (14, 4), (19, 2), (10, 2), (0, 4), (14, 4), (19, 2), (10, 2), (0, 8), (5, 4), (14, 3), (0, 1), (14, 4)]
    with open(out, 'w') as f:
        for i in range(1, len(song) + 1):
            row = []
            for kind, past in (('chord', song[:i] + [(0, 1)]), ('beats', song[:i])):
                key, n, first = next_chord.KINDS[kind]
                starts = tensors[kind + '.starts']
                table = {}
                for j, k in enumerate(tensors[kind + '.keys']):
                    part = slice(starts[j], starts[j + 1])
                    table[int(k)] = np.zeros(n)
                    table[int(k)][tensors[kind + '.symbols'][part]] = tensors[kind + '.counts'][part]
                weights = np.concatenate([tensors[kind + '.long'], tensors[kind + '.memory']])
                levels, _ = next_chord.evidence(kind, table, [past])
                p = next_chord.predict(levels, weights)[-1]
                if kind == 'chord':
                    p[song[i - 1][0] % 2] = 0
                    p = np.roll(p / p.sum(), song[i - 1][0] // 2 * 2)
                row += list(p)
            f.write(' '.join(map(str, song[i - 1])) + ' ' + ' '.join('%.6f' % x for x in row) + '\n')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', required=True)
    parser.add_argument('--out', required=True)
    a = parser.parse_args()
    torch.set_num_threads(1)
    net(os.path.join(a.weights, 'chords.safetensors'), os.path.join(a.out, 'chord_net.txt'))
    after(os.path.join(a.weights, 'next_chord.safetensors'), os.path.join(a.out, 'next_chord.txt'))


if __name__ == '__main__':
    main()
