"""Counts what follows what in annotated songs: the long-term model of the next chord and of how long chords last.

  next_chord.py --pop909 TRAIN --out FILE.safetensors [--check DEV]

TRAIN and DEV hold one folder per song with chord_midi.txt (start, end, Harte label) and beat_midi.txt (times of beats in
the first column). See `NextChord` in src/harmony/next.rs for the model; the same is computed here to fit its few
weights on every tenth song of TRAIN, which is counted only afterwards, and to report DEV.
"""
import argparse
import glob
import json
import os

import numpy as np
from safetensors.numpy import save_file

import chords

TRIADS, DURATIONS = 24, 16
LONG = {'chord': 4, 'beats': 3}      # context lengths of the long-term model
MEMORY = 8                           # of the song's memory
LEAST = 4                            # contexts seen more rarely are left out


def triad(label):
    """2 * root, + 1 for minor and diminished; None for N."""
    name, _, quality = label.partition(':')
    if name == 'N':
        return None
    return 2 * chords.root(name.split('/')[0]) + quality.startswith(('min', 'dim', 'hdim'))


def song(folder):
    """[(triad, beats from 1 to 16)], equal neighbours joined."""
    beats = np.loadtxt(os.path.join(folder, 'beat_midi.txt'))[:, 0]
    rows = []
    for line in open(os.path.join(folder, 'chord_midi.txt')):
        start, end, label = line.split()
        start, end = (int(np.argmin(abs(beats - float(t)))) for t in (start, end))
        if rows and rows[-1][0] == triad(label):
            rows[-1][2] = end
        else:
            rows.append([triad(label), start, end])
    out = []
    for chord, start, end in rows:
        length = min(max(end - start, 1), DURATIONS)
        if chord is None:
            continue
        if out and out[-1][0] == chord:       # joined over an N
            out[-1] = (chord, min(out[-1][1] + length, DURATIONS))
        else:
            out.append((chord, length))
    return out


def key_profile(folder):
    """How long which triad sounds in major and in minor, relative to the tonic: shares [2, 24]."""
    shares = np.full((2, TRIADS), 1.0)
    for d in sorted(glob.glob(os.path.join(folder, '*'))):
        if not os.path.exists(os.path.join(d, 'key_audio.txt')):
            continue
        keys = [line.split() for line in open(os.path.join(d, 'key_audio.txt'))]
        keys = [(float(a), float(b), chords.root(k.split(':')[0]), k.endswith('min')) for a, b, k in keys]
        for line in open(os.path.join(d, 'chord_midi.txt')):
            start, end, label = line.split()
            middle, chord = (float(start) + float(end)) / 2, triad(label)
            for a, b, tonic, minor in keys:
                if chord is not None and a <= middle < b:
                    shares[int(minor), (chord - 2 * tonic) % TRIADS] += float(end) - float(start)
    return shares / shares.sum(1, keepdims=True)


def songs(folder):
    return [song(d) for d in sorted(glob.glob(os.path.join(folder, '*'))) if os.path.exists(os.path.join(d, 'chord_midi.txt'))]


def chord_key(past, order):
    """The last `order` chords relative to the root of the last one, the latest first, in base 24 after a 1."""
    key, base = 1, past[-1][0] // 2 if past else 0
    for chord, _ in past[len(past) - order:][::-1]:
        key = key * TRIADS + (chord // 2 - base) % 12 * 2 + chord % 2
    return key


def beats_key(past, order):
    """The last `order` durations, the latest first, in base 16 after a 1."""
    key = 1
    for _, length in past[len(past) - order:][::-1]:
        key = key * DURATIONS + length - 1
    return key


def chord_symbol(past, now):
    return (now[0] // 2 - past[-1][0] // 2) % 12 * 2 + now[0] % 2


KINDS = {'chord': (chord_key, TRIADS, 1), 'beats': (beats_key, DURATIONS, 0)}


def count(kind, corpus):
    key, n, first = KINDS[kind]
    table = {}
    for past in corpus:
        for i in range(first, len(past)):
            symbol = chord_symbol(past[:i], past[i]) if kind == 'chord' else past[i][1] - 1
            for order in range(min(LONG[kind], i) + 1):
                table.setdefault(key(past[:i], order), np.zeros(n))[symbol] += 1
    return {k: v for k, v in table.items() if v.sum() >= LEAST}


def evidence(kind, table, corpus):
    """What the model sees before each event: counts of each level [events, levels, symbols], and what came."""
    key, n, first = KINDS[kind]
    rows, came = [], []
    for past in corpus:
        for i in range(first, len(past)):
            levels = np.zeros((LONG[kind] + 1 + MEMORY, n))
            for order in range(min(LONG[kind], i) + 1):
                found = table.get(key(past[:i], order))
                if found is None:
                    break
                levels[order] = found
            if kind == 'chord':                # symbols relative to the last root, as in the table
                for j in range(1, i):
                    same = 0
                    while same < MEMORY and same < j and past[j - 1 - same][0] == past[i - 1 - same][0]:
                        same += 1
                    levels[LONG[kind] + 1:LONG[kind] + 1 + same, chord_symbol(past[:i], past[j])] += 1
                came.append(chord_symbol(past[:i], past[i]))
            else:
                for j in range(i):
                    if past[j][0] != past[i][0]:
                        continue
                    same = 1
                    while same < MEMORY and same <= j and past[j - same] == past[i - same]:
                        same += 1
                    levels[LONG[kind] + 1:LONG[kind] + 1 + same, past[j][1] - 1] += 1
                came.append(past[i][1] - 1)
            rows.append(levels)
    return np.array(rows), np.array(came)


def predict(levels, weights):
    p = np.full((len(levels), levels.shape[2]), 1 / levels.shape[2])
    for level, weight in enumerate(weights):
        v = levels[:, level]
        prior = weight * (v > 0).sum(1, keepdims=True)
        total = v.sum(1, keepdims=True) + prior
        p = np.where(total > 0, (v + prior * p) / np.where(total > 0, total, 1), p)
    return p


def score(p, came):
    bits = -np.log2(p[np.arange(len(p)), came]).mean()
    return 2 ** bits, (p.argmax(1) == came).mean()


def fit(levels, came):
    weights = np.full(levels.shape[1], 4.0)
    best = score(predict(levels, weights), came)[0]
    for factor in (2.5, 1.6, 1.25):
        for i in range(len(weights)):
            for f in (factor, 1 / factor):
                trial = weights.copy()
                trial[i] *= f
                found = score(predict(levels, trial), came)[0]
                if found < best:
                    best, weights = found, trial
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pop909', required=True)
    parser.add_argument('--out', required=True)
    parser.add_argument('--check')
    a = parser.parse_args()
    corpus = songs(a.pop909)
    tensors, metrics = {}, {'songs': len(corpus)}
    for kind in KINDS:
        weights = fit(*evidence(kind, count(kind, [s for i, s in enumerate(corpus) if i % 10]), corpus[::10]))
        weights = np.round(weights, 2)
        table = count(kind, corpus)
        keys = sorted(table)
        symbols = [np.flatnonzero(table[k]) for k in keys]
        tensors[kind + '.keys'] = np.array(keys, np.uint32)
        tensors[kind + '.starts'] = np.cumsum([0] + [len(s) for s in symbols]).astype(np.uint16)
        tensors[kind + '.symbols'] = np.concatenate(symbols).astype(np.uint8)
        tensors[kind + '.counts'] = np.minimum(np.concatenate([table[k][s] for k, s in zip(keys, symbols)]), 65535).astype(np.uint16)
        tensors[kind + '.long'] = weights[:LONG[kind] + 1].astype(np.float32)
        tensors[kind + '.memory'] = weights[LONG[kind] + 1:].astype(np.float32)
        if a.check:
            levels, came = evidence(kind, table, songs(a.check))
            for name, used in (('', weights), ('_without_memory', weights[:LONG[kind] + 1])):
                perplexity, top1 = score(predict(levels, used), came)
                metrics[kind + name] = {'events': len(came), 'perplexity': round(perplexity, 3), 'top1': round(top1, 4)}
    tensors['key.profile'] = key_profile(a.pop909).astype(np.float32)
    save_file(tensors, a.out, metadata={'format': 'upbeat next chord 1'})
    print(json.dumps(metrics, indent=1), os.path.getsize(a.out), 'bytes')
    with open(os.path.splitext(a.out)[0] + '.json', 'w') as f:
        json.dump(metrics, f, indent=1)


if __name__ == '__main__':
    main()
