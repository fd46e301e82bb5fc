"""Trains the chord network on rendered songs; see README.md.

  train.py --audio DIR --features DIR --out FILE.safetensors [--epochs N]

--audio holds NNN.chords, --features NNN.f32 as the example `harmony_features` writes them. Every tenth song is kept
for validation. Deterministic on one machine.
"""
import argparse
import glob
import json
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import chords

HOP, CENTRE = 0.1, 0.18576       # seconds: frames, and where in a frame its chord is
SEMITONES, THIRDS = 84, 3
BELOW, ABOVE = 24, 28            # the pitch kernel's reach, in semitones
PARTIALS, REGISTERS, HIDDEN, KNOTS = 6, 3, 32, 8
AHEAD = 5                        # frames the network looks ahead


class Net(torch.nn.Module):
    """Commutes with transposition: the pitch axis, then the circle of pitch classes, is only convolved along."""

    def __init__(self):
        super().__init__()
        def weights(*shape, fan):
            return torch.nn.Parameter(torch.randn(shape) * (2 / fan) ** .5)
        def bias(n):
            return torch.nn.Parameter(torch.zeros(n))
        taps = BELOW + 1 + ABOVE
        self.pitch_weight, self.pitch_bias = weights(PARTIALS, THIRDS, taps, fan=THIRDS * taps), bias(PARTIALS)
        self.register = weights(PARTIALS, REGISTERS, KNOTS, fan=30)
        folded = PARTIALS * REGISTERS
        self.class_weight, self.class_bias = weights(HIDDEN, folded, 12, fan=12 * folded), bias(HIDDEN)
        self.near_weight, self.near_bias = weights(HIDDEN, HIDDEN, 5, fan=10 * HIDDEN), bias(HIDDEN)
        self.far_weight, self.far_bias = weights(HIDDEN, HIDDEN, 5, fan=10 * HIDDEN), bias(HIDDEN)
        n = len(chords.QUALITIES)
        self.quality_weight, self.quality_bias = weights(n, HIDDEN, fan=2 * HIDDEN), bias(n)
        self.silence_weight, self.silence_bias = weights(HIDDEN, fan=2 * HIDDEN), bias(1)
        p = torch.arange(SEMITONES) / 12
        self.register_buffer('between', torch.relu(1 - (p[:, None] - torch.arange(KNOTS)).abs()), persistent=False)

    def forward(self, x):                                   # batch, time, 252
        b, t, _ = x.shape
        x = x.reshape(b * t, SEMITONES, THIRDS).transpose(1, 2)
        x = F.conv1d(F.pad(x, (BELOW, ABOVE)), self.pitch_weight, self.pitch_bias).relu()
        w = self.register @ self.between.T                  # partials, registers, semitones
        x = torch.einsum('ncop,ckop->nckp', x.reshape(b * t, PARTIALS, 7, 12), w.reshape(PARTIALS, REGISTERS, 7, 12))
        x = x.reshape(b * t, PARTIALS * REGISTERS, 12)
        x = F.conv1d(F.pad(x, (0, 11), mode='circular'), self.class_weight, self.class_bias).relu()
        x = x.reshape(b, t, HIDDEN, 12).permute(0, 3, 2, 1).reshape(b * 12, HIDDEN, t)
        # Taps at -2, -1, 0, 1, 2 and then at -5, -3, -1, 1, 3 frames.
        x = x + F.conv1d(F.pad(x, (2, 2)), self.near_weight, self.near_bias).relu()
        x = x + F.conv1d(F.pad(x, (5, 3)), self.far_weight, self.far_bias, dilation=2).relu()
        x = x.reshape(b, 12, HIDDEN, t).permute(0, 3, 1, 2)  # batch, time, root, hidden
        quality = x @ self.quality_weight.T + self.quality_bias
        silence = x.mean(2) @ self.silence_weight + self.silence_bias
        return torch.cat([quality.flatten(2), silence[..., None]], 2)


def load(audio, features):
    xs, ys = [], []
    for path in sorted(glob.glob(os.path.join(features, '*.f32'))):
        x = np.fromfile(path, '<f4').reshape(-1, SEMITONES * THIRDS)
        name = os.path.basename(path)[:-4]
        y = chords.frame_classes(os.path.join(audio, name + '.chords'), np.arange(len(x)) * HOP + CENTRE)
        xs.append(x.astype(np.float16))
        ys.append(y)
    return xs, ys


def statistics(audio):
    """What follows each chord when it changes, with roots relative to it; what is never seen counts a little."""
    n = len(chords.QUALITIES)
    change = np.full((n + 1, 12 * n + 1), 0.02)
    for path in sorted(glob.glob(os.path.join(audio, '*.chords'))):
        before = chords.UNKNOWN
        for _, _, label in chords.spans(path):
            if chords.UNKNOWN not in (before, label) and label != before:
                if before == chords.NO_CHORD:
                    change[n, label % n:12 * n:n] += 1 / 12
                elif label == chords.NO_CHORD:
                    change[before % n, 12 * n] += 1
                else:
                    change[before % n, (label // n - before // n) % 12 * n + label % n] += 1
            before = label
    change[np.arange(n), np.arange(n)] = 0                  # to itself
    change[n, 12 * n] = 0
    return {'change': torch.tensor(change / change.sum(1, keepdims=True), dtype=torch.float32)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('audio', 'features', 'out'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--epochs', type=int, default=5)
    a = parser.parse_args()
    torch.set_num_threads(1)        # one thread: the sums come in the same order, and the layers are too small for more
    torch.manual_seed(1)
    rng = np.random.default_rng(1)
    xs, ys = load(a.audio, a.features)
    valid = list(range(0, len(xs), 10))
    fit = [i for i in range(len(xs)) if i % 10]
    net = Net()
    print('songs', len(fit), len(valid), 'weights', sum(p.numel() for p in net.parameters()), flush=True)
    length, batch = 120, 12
    steps = a.epochs * sum(len(xs[i]) for i in fit) // (length * batch)
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 5e-3, total_steps=steps)
    total, start = 0.0, time.time()
    for step in range(steps):
        pieces = []
        for i in rng.choice(fit, batch):
            at = rng.integers(0, max(1, len(xs[i]) - length))
            pieces.append((xs[i][at:at + length], ys[i][at:at + length]))
        pieces = [p for p in pieces if len(p[0]) == length]
        x = torch.tensor(np.stack([p[0] for p in pieces]).astype(np.float32))
        y = torch.tensor(np.stack([p[1] for p in pieces]))
        x = x * torch.empty(len(pieces), 1, 1).uniform_(.7, 1.2)
        out = net(x)
        loss = F.cross_entropy(out[:, 6:-6].flatten(0, 1), y[:, 6:-6].flatten(), ignore_index=chords.UNKNOWN)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % 50 == 49 or step == steps - 1:
            print(f'{step + 1}/{steps} loss {total / 50:.3f} {time.time() - start:.0f} s', flush=True)
            total = 0.0
            save_file({k: v.detach() for k, v in net.named_parameters()} | statistics(a.audio), a.out)
    with torch.no_grad():
        right = seen = 0
        for i in valid:
            out = net(torch.tensor(xs[i].astype(np.float32))[None])[0].argmax(1).numpy()
            keep = ys[i] != chords.UNKNOWN
            right += (out == ys[i])[keep].sum()
            seen += keep.sum()
    metrics = {'songs': len(fit), 'epochs': a.epochs, 'frame_accuracy_full_vocabulary': round(float(right / seen), 4)}
    print(json.dumps(metrics))
    with open(os.path.splitext(a.out)[0] + '.json', 'w') as f:
        json.dump(metrics, f, indent=1)


if __name__ == '__main__':
    main()
