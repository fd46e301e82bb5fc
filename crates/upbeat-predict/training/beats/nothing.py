"""What has no beat: synthetic voices reading (espeak-ng), and noises.

`nothing(rnd, seconds, rate)` returns samples.
"""
import os
import subprocess
import tempfile

import numpy as np
import soundfile

VOICES = ['en-us', 'en-gb', 'en-gb-scotland', 'de', 'fr', 'es', 'it', 'pt', 'nl', 'sv', 'pl', 'cs', 'hu', 'fi', 'tr', 'el', 'ro', 'da', 'nb', 'id',
          'sw', 'eo', 'la', 'hr', 'sk', 'lt', 'lv', 'et', 'ca', 'af']
KINDS = ['', '+m1', '+m2', '+m3', '+m4', '+m5', '+m6', '+m7', '+f1', '+f2', '+f3', '+f4', '+f5', '+croak', '+whisper']
SYLLABLES = [c + v for c in ('b', 'd', 'f', 'g', 'k', 'l', 'm', 'n', 'p', 'r', 's', 't', 'v', 'st', 'tr', 'pl', '') for v in ('a', 'e', 'i', 'o', 'u')]
ENDS = ['', '', '', 'n', 's', 't', 'r', 'l']


def text(rnd):
    """Sentences of words that do not exist, as long and as short as words are."""
    out = []
    for _ in range(14):
        words = []
        for _ in range(rnd.randint(3, 16)):
            n = rnd.choice([1, 1, 1, 2, 2, 3, 4])
            words.append(''.join(rnd.choice(SYLLABLES) for _ in range(n)) + rnd.choice(ENDS))
            if rnd.random() < .1:
                words[-1] += ','
        out.append(' '.join(words) + rnd.choice('...?!'))
    return ' '.join(out)


def voice(rnd, seconds, rate):
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, 'a.wav')
        subprocess.run(['espeak-ng', '-v', rnd.choice(VOICES) + rnd.choice(KINDS), '-s', str(rnd.randint(110, 220)), '-p', str(rnd.randint(15, 85)),
                        '-g', str(rnd.choice([0, 0, 0, 5, 12])), '-w', path, text(rnd)], check=True)
        samples, there = soundfile.read(path)
    n = int(len(samples) * rate / there)
    samples = np.interp(np.arange(n) * there / rate, np.arange(len(samples)), samples)
    samples = np.resize(samples, seconds * rate)
    return samples / np.abs(samples).max()


def noise(rnd, seconds, rate):
    """Coloured, steady or swelling, with bursts or without."""
    chance = np.random.default_rng(rnd.randrange(1 << 30))
    n = seconds * rate
    f = np.fft.rfftfreq(n, 1 / rate)
    f[0] = f[1]
    x = np.fft.irfft(np.fft.rfft(chance.standard_normal(n)) / f ** rnd.choice([0, .5, .5, 1, 1.3]), n)
    x /= np.std(x)
    if rnd.random() < .5:
        step = int(rate * rnd.uniform(.15, 3))
        knots = np.abs(chance.standard_normal(n // step + 2)) ** rnd.uniform(.5, 2)
        x *= np.interp(np.arange(n), np.arange(len(knots)) * step, knots) + .05
    if rnd.random() < .5:                                       # claps, steps, clatter at random moments
        decay = int(rate * 10 ** rnd.uniform(-2.5, -.7))
        burst = np.exp(-np.arange(6 * decay) / decay)
        for t in np.cumsum(chance.exponential(rnd.uniform(.1, 1.5), 400)):
            i = int(t * rate)
            if i < n - len(burst):
                x[i:i + len(burst)] += burst * chance.standard_normal(len(burst)) * rnd.uniform(1, 12)
    return x / np.abs(x).max()


def nothing(rnd, seconds, rate):
    kind = rnd.random()
    if kind < .6:
        return voice(rnd, seconds, rate) + 10 ** rnd.uniform(-4, -1.5) * noise(rnd, seconds, rate)
    if kind < .75:                                              # several at once
        return sum(rnd.uniform(.2, 1) * np.roll(voice(rnd, seconds, rate), rnd.randrange(rate)) for _ in range(rnd.choice([2, 2, 3, 5])))
    return noise(rnd, seconds, rate)
