"""Makes fbank.npz: filterbank features after the formulas of Kaldi and of HTK, without either.

    python fbank.py

Written from the documentation and the description of Kaldi's feature extraction (feature-window.cc,
mel-computations.cc; frames not beyond the edges, no dither) and from the HTK Book, section 5.4, in f64.

    samples   (n) i16
    kaldi     (frames, 23), 16 kHz, 25 ms every 10 ms: natural logarithm of mel band powers
    htk       (26, 257), 16 kHz, n_fft 512: weights of the bands
"""

from pathlib import Path

import numpy as np

RATE, LENGTH, HOP, N_FFT = 16000, 400, 160, 512


def mel(f):
    return 1127.0 * np.log(1.0 + np.asarray(f) / 700.0)


def triangles(n_bands, low, high):
    edges = np.linspace(mel(low), mel(high), n_bands + 2)
    at = mel(np.arange(N_FFT // 2 + 1) * RATE / N_FFT)
    weights = np.zeros((n_bands, len(at)))
    for b in range(n_bands):
        left, centre, right = edges[b : b + 3]
        for k, m in enumerate(at):
            if left < m < right:
                weights[b, k] = (m - left) / (centre - left) if m <= centre else (right - m) / (right - centre)
    return weights


def kaldi(samples):
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(LENGTH) / (LENGTH - 1))) ** 0.85
    weights = triangles(23, 20.0, RATE / 2)
    rows = []
    for start in range(0, len(samples) - LENGTH + 1, HOP):
        frame = samples[start : start + LENGTH].astype(np.float64)
        frame -= frame.mean()
        emphasised = frame - 0.97 * np.concatenate([frame[:1], frame[:-1]])
        power = np.abs(np.fft.rfft(emphasised * window, N_FFT)) ** 2
        rows.append(np.log(np.maximum(weights @ power, np.finfo(np.float32).eps)))
    return np.array(rows)


def main():
    rng = np.random.default_rng(2)
    n = np.arange(2000)
    sound = 0.1 * rng.uniform(-1, 1, 2000) * np.exp(-n / 700) + 0.3 * np.sin(2 * np.pi * n * 0.011)
    samples = np.round((sound + 0.02) * 32767).astype(np.int16)
    samples[1500:] = 0
    out = {
        "samples": samples,
        "kaldi": kaldi(samples).astype(np.float32),
        "htk": triangles(26, 0.0, RATE / 2).astype(np.float32),
    }
    np.savez_compressed(Path(__file__).with_name("fbank.npz"), **out)


if __name__ == "__main__":
    main()
