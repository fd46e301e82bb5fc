"""Trains the beat network on rendered clips; see README.md.

  train.py --audio DIR --features DIR --out FILE.safetensors [--channels N] [--steps N] [--minutes N] [--start FILE]

--audio holds train/NAME.beats and held/NAME.beats, --features train/NAME.f32 and held/NAME.f32 as the example `beat_features`
writes them. What is held is for validation.
"""
import argparse
import glob
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

BANDS, LAYERS = 32, 8
LATE = .06                      # seconds from a beat to the frame that tells of it
FPS, CHUNK, SKIP = 50, 800, 100  # frames per second, per training example, and unscored at its start
WEIGHTS = torch.tensor([3., 6.])


class Net(torch.nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = torch.nn.Conv1d(2 * BANDS, channels, 1)
        self.past = torch.nn.ModuleList(torch.nn.Conv1d(channels, channels, 3, dilation=2 ** i) for i in range(LAYERS))
        self.mix = torch.nn.ModuleList(torch.nn.Conv1d(channels, channels, 1) for _ in range(LAYERS))
        self.last = torch.nn.Conv1d(channels, 2, 1)
        for mix in self.mix:
            mix.weight.data *= .5

    def forward(self, x):                                    # batch, features, time
        y = self.first(x)
        for past, mix in zip(self.past, self.mix):
            y = y + mix(F.elu(past(F.pad(y, (2 * past.dilation[0], 0)))))
        return self.last(F.elu(y))


def widened(small, net):
    """The weights of a net of fewer channels, with new channels that the old ones do not listen to yet."""
    wide = {}
    for name, there in net.state_dict().items():
        old = small[name]
        new = there.clone()
        if old.ndim == 3:
            new[:old.shape[0]] = 0
            new[:old.shape[0], :old.shape[1]] = old
        else:
            new[:] = 0
            new[:len(old)] = old
        wide[name] = new
    return wide


def inputs(x):
    """Of bands at 50 frames per second (time, bands): levels and rises."""
    rise = np.diff(x, axis=0, prepend=x[:1])
    return np.concatenate([x / 3, 2 * np.maximum(rise, 0)], 1).T


def targets(beats, n):
    """Beat and downbeat of each frame, and whether downbeats are known."""
    y = np.zeros((2, n), 'f4')
    known = len(beats) == 0 or beats[:, 1].max() > 0          # where there is no beat, there is no downbeat either
    for time, position in beats:
        at = int(round((time + LATE) * FPS)) - 1
        for near, value in ((at, 1.), (at - 1, .5), (at + 1, .5)):
            if 0 <= near < n:
                y[0, near] = max(y[0, near], value)
                if position == 1:
                    y[1, near] = max(y[1, near], value)
    return y, known


def load(audio, features):
    clips = []
    for path in sorted(glob.glob(os.path.join(features, '*.f32'))):
        name = os.path.basename(path)[:-4]
        x = np.fromfile(path, '<f4').reshape(-1, BANDS).astype('f2')
        with open(os.path.join(audio, name + '.beats')) as lines:
            clips.append((name, x, np.array([line.split() for line in lines], float).reshape(-1, 2)))
    return clips


def draw(clip, rng, voices):
    """A piece of a clip: other speed, other tone, someone speaking meanwhile."""
    _, x, beats = clip
    speed = math.exp(rng.uniform(-.2, .2)) if rng.random() < .6 else 1.
    length = min(CHUNK, int(len(x) / 2 / speed) - 2)
    start = rng.uniform(0, len(x) / 100 - (length + 1) / FPS * speed)
    at = (start + (np.arange(length) + 1) / FPS * speed) * 100 - 1
    low = np.clip(np.floor(at).astype(int), 0, len(x) - 2)
    share = (at - low)[:, None]
    y = x[low].astype('f4') * (1 - share) + x[low + 1].astype('f4') * share
    if rng.random() < .6:
        tone = np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 5), rng.normal(0, .35, 5))
        y = np.maximum(y + tone * np.minimum(y, 1), 0)
    if rng.random() < .15 and voices:
        _, voice, _ = voices[rng.integers(len(voices))]
        first, gain = rng.integers(len(voice) - 2 * length), 10 ** rng.uniform(-1.2, 0)
        y = np.log1p((np.expm1(y) + gain * np.expm1(voice[first:first + 2 * length:2].astype('f4'))) / (1 + gain))
    if rng.random() < .2:                                    # as if there were nothing before
        y[:rng.integers(1, length // 2)] = 0
    b = beats.copy()
    b[:, 0] = (b[:, 0] - start) / speed
    goal, known = targets(b, length)
    out_x, out_y = np.zeros((2 * BANDS, CHUNK), 'f4'), np.zeros((2, CHUNK), 'f4')
    mask = np.zeros((2, CHUNK), 'f4')
    out_x[:, :length], out_y[:, :length] = inputs(y), goal
    mask[0, SKIP:length], mask[1, SKIP:length] = 1, known
    return out_x, out_y, mask


def loss_of(net, x, y, mask):
    loss = F.binary_cross_entropy_with_logits(net(x), y, pos_weight=WEIGHTS[:, None], reduction='none')
    return (loss * mask).sum((0, 2)) / mask.sum((0, 2)).clamp(min=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('audio', 'features', 'out'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--minutes', type=float, default=600)
    parser.add_argument('--steps', type=int, default=100000)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--channels', type=int, default=48)
    parser.add_argument('--start', help='weights to go on from, of as many channels or fewer')
    a = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(a.threads)
    rng = np.random.default_rng(1)
    train, check = (load(os.path.join(a.audio, part), os.path.join(a.features, part)) for part in ('train', 'held'))
    voices = [c for c in train if c[0].startswith('none')]
    print(len(train), 'clips to train on,', len(check), 'held out', flush=True)
    validation = [[torch.tensor(np.stack(p)) for p in zip(*[draw(c, rng, []) for c in check])] for _ in range(2)]
    net = Net(a.channels)
    if a.start:
        net.load_state_dict(widened(load_file(a.start), net))
    print(sum(p.numel() for p in net.parameters()), 'weights', flush=True)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=.01)
    began, step, sums = time.time(), 0, np.zeros(2)
    while True:
        done = max((time.time() - began) / 60 / a.minutes, step / a.steps)
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group['lr'] = 3e-3 * min(1, step / 100) * (.5 + .5 * math.cos(math.pi * done)) + 1e-6
        x, y, mask = (torch.tensor(np.stack(p)) for p in zip(*[draw(train[i], rng, voices) for i in rng.integers(0, len(train), 20)]))
        losses = loss_of(net, x, y, mask)
        optimizer.zero_grad()
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.)
        optimizer.step()
        sums += losses.detach().numpy()
        step += 1
        if step % 200 == 0:
            net.eval()
            with torch.no_grad():
                held_out = np.mean([loss_of(net, *v).numpy() for v in validation], 0)
            net.train()
            print(f'{(time.time() - began) / 60:5.1f} min, step {step}: {sums / 200}, held out {held_out}', flush=True)
            sums[:] = 0
            save(net, a.out)
    save(net, a.out)


def save(net, path):
    save_file({name: tensor.detach().contiguous() for name, tensor in net.state_dict().items()}, path)


if __name__ == '__main__':
    main()
