"""Makes golden.npz, the values of librosa that the tests of upbeat-features compare with.

    pip install -r requirements.txt && python make.py

Signals are sequences of 16-bit integers, exact in f32 after division by 32768. The same samples are
taken for sound at each of the rates: what is a tone of 0.02 cycles per sample is one of 441 Hz at
22050 Hz. Frames are librosa's with center=False. To keep the file small, `frames` names the few
frames stored (`interior` those of the deltas, whose window must lie inside the signal), and mel,
log-mel and PCEN are stored for every BAND_STEP-th band.

Arrays, f32 unless said otherwise, one row per signal; T frames stored:

    signals                                    (signals, samples) i16
    names                                      the signals' names, separated by commas, as u8
    {n_fft}-{hop}-{frames|interior}            (T) i64
    {n_fft}-{hop}-{rms|zcr|flatness}           (signals, T)          the same at every rate
    {n_fft}-{hop}-stft                         (signals, 2, bins)    first stored frame, re and im, every STFT_STEP-th bin
    {rate}-{n_fft}-{hop}-{centroid|bandwidth|rolloff|onset|yin}      (signals, T)
    {rate}-{n_fft}-{hop}-{contrast|mel|logmel|mfcc|pcen|chroma|tonnetz}  (signals, rows, T)
    {rate}-{n_fft}-{hop}-{delta|delta2}        (signals, 20, T of interior)
    centered-stft                              (2, bins, 3)          signal 0, frames 0, 1 and the last, center=True
"""

import warnings

import librosa
import numpy as np

LENGTH = 14336
RATES = [16000, 22050, 44100, 48000]
SIZES = [(2048, 512), (1024, 256), (4096, 1024), (512, 128)]
STORED = 6
BAND_STEP = 3
STFT_STEP = 7


def signals():
    """By name, in ±1. Frequencies are in cycles per sample."""
    rng = np.random.default_rng(1)
    n = np.arange(LENGTH)

    def noise():
        return rng.uniform(-1, 1, LENGTH)

    def tone(cycles, partials, decay=1.0):
        """A harmonic tone; `cycles` is its phase in cycles per sample of the signal."""
        k = np.arange(1, partials + 1)[:, np.newaxis]
        return (np.sin(2 * np.pi * k * cycles) / k**decay).sum(axis=0)

    def bursts(period, length):
        """An envelope that starts anew every `period` samples and dies away within `length`."""
        return np.exp(-(n % period) / length)

    vibrato = 0.0127 * n + 0.9 * np.sin(2 * np.pi * n / 3000)
    sweep = 0.003 * LENGTH / np.log(15) * (15 ** (n / LENGTH) - 1)
    chord = sum(tone(0.0119 * 2 ** (s / 12) * n, 8) for s in (0, 4, 7))
    change = np.where(n < LENGTH // 2, 0.0089, 0.0133)
    return {
        "noise": 0.5 * noise(),
        "sine": 0.5 * np.sin(2 * np.pi * 0.0199 * n),
        "vibrato": 0.3 * tone(vibrato, 12),
        "chord": 0.12 * chord + 0.001 * noise(),
        "sweep": 0.8 * tone(sweep, 1),
        "drums": 0.8 * bursts(3500, 300) * noise() + 0.5 * bursts(7000, 900) * np.sin(2 * np.pi * 0.0025 * n),
        "pulses": np.where(n % 1777 == 300, 0.9, 0.0),
        "entry": np.where(n < 5000, 0.0, 0.4 * tone(change * n, 6)),
        "quiet": 0.0001 * noise() + 0.0002 * np.sin(2 * np.pi * 0.031 * n),
        "clipped": np.clip(3 * np.sin(2 * np.pi * 0.0093 * n), -1, 32767 / 32768),
        "music": 0.1 * chord * bursts(4096, 3000)
        + 0.3 * bursts(2048, 150) * noise()
        + 0.3 * tone(0.0037 * n, 4) * bursts(8192, 5000),
    }


def without_top_db():
    """spectral_contrast clips at 80 dB below the loudest frame, also of those to come: no stream can."""
    plain = librosa.power_to_db
    librosa.feature.spectral_contrast.__globals__["power_to_db"] = lambda S: plain(S, top_db=None)


def features_of_any_rate(y, n_fft, hop):
    cut = dict(frame_length=n_fft, hop_length=hop, center=False)
    stft = librosa.stft(y, n_fft=n_fft, hop_length=hop, center=False)
    return stft, {
        "rms": librosa.feature.rms(y=y, **cut)[0],
        "zcr": librosa.feature.zero_crossing_rate(y, **cut)[0],
        "flatness": librosa.feature.spectral_flatness(S=np.abs(stft))[0],
    }


def features(y, stft, sr, n_fft, hop):
    magnitude, power = np.abs(stft), np.abs(stft) ** 2
    mel = librosa.feature.melspectrogram(S=power, sr=sr, n_fft=n_fft)
    logmel = librosa.power_to_db(mel, ref=1.0, amin=1e-10, top_db=None)
    mfcc = librosa.feature.mfcc(S=logmel, n_mfcc=20)
    chroma = librosa.feature.chroma_stft(S=power, sr=sr, n_fft=n_fft, tuning=0.0)
    shape = dict(S=magnitude, sr=sr, n_fft=n_fft)
    yin = librosa.yin(
        y, sr=sr, fmin=4.2 * sr / n_fft, fmax=sr / 20, frame_length=n_fft, hop_length=hop, center=False
    )
    rows = {
        "centroid": librosa.feature.spectral_centroid(**shape)[0],
        "bandwidth": librosa.feature.spectral_bandwidth(**shape)[0],
        "rolloff": librosa.feature.spectral_rolloff(**shape)[0],
        "contrast": librosa.feature.spectral_contrast(**shape),
        "mel": mel[::BAND_STEP],
        "logmel": logmel[::BAND_STEP],
        "mfcc": mfcc,
        # The samples' full scale is 1; PCEN's eps and bias are meant for full scale 2^31.
        "pcen": librosa.pcen(mel * 2**31, sr=sr, hop_length=hop)[::BAND_STEP],
        "chroma": chroma,
        "tonnetz": librosa.feature.tonnetz(chroma=chroma),
        "onset": librosa.onset.onset_strength(S=logmel, sr=sr, center=False),
        "yin": yin,
    }
    deltas = {"delta": librosa.feature.delta(mfcc), "delta2": librosa.feature.delta(mfcc, order=2)}
    return rows, deltas


def spread(first, last):
    """STORED frames from `first` to `last`, evenly."""
    return np.unique(np.linspace(first, last, STORED).round().astype(np.int64))


def main():
    # Empty filters at small sizes and high rates: part of what is compared.
    warnings.filterwarnings("ignore", message="Empty filters detected")
    without_top_db()
    named = signals()
    samples = {name: np.round(y * 32767).astype(np.int16) for name, y in named.items()}
    y = {name: s.astype(np.float32) / 32768 for name, s in samples.items()}
    out = {
        "signals": np.stack(list(samples.values())),
        "names": np.frombuffer(",".join(samples).encode(), dtype=np.uint8),
    }
    for n_fft, hop in SIZES:
        last = (LENGTH - n_fft) // hop
        frames, interior = spread(0, last), spread(4, last - 4)
        size = f"{n_fft}-{hop}"
        out[f"{size}-frames"], out[f"{size}-interior"] = frames, interior
        shared = {name: features_of_any_rate(y[name], n_fft, hop) for name in y}
        for key in next(iter(shared.values()))[1]:
            out[f"{size}-{key}"] = np.stack([of[key][frames] for _, of in shared.values()])
        first = np.stack([stft[::STFT_STEP, frames[0]] for stft, _ in shared.values()])
        out[f"{size}-stft"] = np.stack([first.real, first.imag], axis=1)
        for sr in RATES:
            of = [features(y[name], shared[name][0], sr, n_fft, hop) for name in y]
            for key in of[0][0]:
                out[f"{sr}-{size}-{key}"] = np.stack([rows[key][..., frames] for rows, _ in of])
            for key in of[0][1]:
                out[f"{sr}-{size}-{key}"] = np.stack([deltas[key][..., interior] for _, deltas in of])
    centered = librosa.stft(y["noise"], n_fft=2048, hop_length=512, center=True)[:, [0, 1, -1]]
    out["centered-stft"] = np.stack([centered.real, centered.imag])
    out = {key: a.astype(np.float32) if a.dtype == np.float64 else a for key, a in out.items()}
    assert all(np.isfinite(a).all() for a in out.values())
    np.savez_compressed("golden.npz", **out)


if __name__ == "__main__":
    main()
