"""Harte labels as the chord model sees them: root times quality, and N."""
import numpy as np

# The order of `Quality::ALL` in src/harmony/chord.rs; the first eleven are what the model tells apart.
QUALITIES = ['maj', 'min', 'maj7', 'min7', '7', 'sus2', 'sus4', 'sus4(b7)', 'dim', 'aug', 'hdim7']
NEAREST = {'maj6': 'maj', 'min6': 'min', 'minmaj7': 'min', 'dim7': 'dim', '9': '7', 'maj9': 'maj7', 'min9': 'min7',
           '': 'maj'}
NO_CHORD = 12 * len(QUALITIES)
CLASSES = NO_CHORD + 1
UNKNOWN = -1


def root(name):
    return ('C D EF G A B'.index(name[0]) + name.count('#') - name.count('b')) % 12


def parse(label):
    """(root, index of quality) of a Harte label, NO_CHORD for N, UNKNOWN for what the model has no word for."""
    if label == 'N':
        return NO_CHORD
    name, _, quality = label.partition(':')
    quality = quality.split('/')[0]
    quality = NEAREST.get(quality, quality)
    if quality not in QUALITIES:
        return UNKNOWN
    return root(name.split('/')[0]) * len(QUALITIES) + QUALITIES.index(quality)


def spans(path):
    """[(start, end, class)] of a file of start, end, label."""
    rows = [line.split() for line in open(path) if line.strip()]
    return [(float(a), float(b), parse(c)) for a, b, c in rows]


def frame_classes(path, times):
    """The class at each of `times`, UNKNOWN outside of all spans."""
    out = np.full(len(times), UNKNOWN)
    for start, end, label in spans(path):
        out[(times >= start) & (times < end)] = label
    return out
