"""Fits the confidence of beats, and whether there is a beat at all; see README.md.

  confidence.py --audio DIR --network DIR --onset DIR --out FILE.safetensors

--audio holds NAME.beats, empty where there is no beat; --network and --onset hold NAME.txt as the example `beat_evidence` writes
them. Two logistic regressions each: of a beat announced within 70 ms of one, and of music against voices and noise. Each
kind of clip (NAME up to the first `_`) weighs the same, and clips without a beat a fifth in the first and as much as all
others in the second. The second is then made more cautious. A table tells how well each kind is fitted (before that) when the
other half of the clips is used.
"""
import argparse
import glob
import os

import numpy as np
from safetensors.numpy import save_file

SETTLED = 3.0                   # seconds before which beats do not count
CAUTION = 8.0                   # a beat claimed where there is none is so much worse than one not claimed


def load(audio, evidence):
    """Of each clip: its kind, the evidence with a constant before it, hits."""
    clips = []
    for path in sorted(glob.glob(os.path.join(evidence, '*.txt'))):
        name = os.path.basename(path)[:-4]
        with open(path) as lines:
            rows = np.array([line.split() for line in lines], float).reshape(-1, 9)
        with open(os.path.join(audio, name + '.beats')) as lines:
            beats = np.array([float(line.split()[0]) for line in lines])
        rows = rows[rows[:, 0] >= SETTLED]
        hits = np.zeros(len(rows))
        if len(beats):
            rows = rows[rows[:, 0] <= beats[-1] + .07]
            hits = np.array([np.abs(beats - t).min() <= .07 for t in rows[:, 0]], float)
        clips.append((name.split('_')[0], np.concatenate([np.ones((len(rows), 1)), rows[:, 1:]], 1), hits))
    return clips


def fit(clips, target, none_weight):
    kinds = sorted({c[0] for c in clips})
    x = np.concatenate([c[1] for c in clips])
    y = np.concatenate([target(c) for c in clips])
    count = {k: sum(len(c[1]) for c in clips if c[0] == k) for k in kinds}
    weight = np.concatenate([np.full(len(c[1]), 3000 / count[c[0]] * (none_weight if c[0] == 'none' else 1)) for c in clips])
    w = np.zeros(x.shape[1])
    for _ in range(40):                                          # Newton's method, a ridge of 1
        p = 1 / (1 + np.exp(-x @ w))
        slope = x.T @ (weight * (y - p)) - w
        curvature = x.T @ (x * (weight * p * (1 - p))[:, None]) + np.eye(len(w))
        w += np.linalg.solve(curvature, slope)
    return w


def error(p, y):
    """Expected calibration error over tenths."""
    tenth = np.minimum((10 * p).astype(int), 9)
    return sum(abs((p - y)[tenth == i].sum()) for i in range(10)) / len(p)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('audio', 'network', 'onset', 'out'):
        parser.add_argument('--' + name, required=True)
    a = parser.parse_args()
    tensors = {}
    for front_end in ('network', 'onset'):
        clips = load(a.audio, getattr(a, front_end))
        kinds = sorted({c[0] for c in clips})
        for what, target, none in (('confidence', lambda c: c[2], .2),
                                   ('presence', lambda c: np.full(len(c[2]), float(c[0] != 'none')), len(kinds) - 1.)):
            tensors[f'{front_end}.{what}'] = fit(clips, target, none).astype('f4')
            if what == 'presence':
                tensors[f'{front_end}.{what}'][0] -= np.log(CAUTION)
            halves = [fit(clips[start::2], target, none) for start in (0, 1)]
            print(front_end, what, np.round(tensors[f'{front_end}.{what}'], 3))
            for kind in kinds:
                p, y = [], []
                for i, c in enumerate(clips):
                    if c[0] == kind:
                        p.append(1 / (1 + np.exp(-c[1] @ halves[1 - i % 2])))
                        y.append(target(c))
                p, y = np.concatenate(p), np.concatenate(y)
                print(f'  {kind:8} {len(p):6} beats, mean {p.mean():.3f}, true {y.mean():.3f}, error {error(p, y):.3f}, '
                      f'5 % below {np.quantile(p, .05):.2f}, 5 % above {np.quantile(p, .95):.2f}')
    save_file(tensors, a.out)


if __name__ == '__main__':
    main()
