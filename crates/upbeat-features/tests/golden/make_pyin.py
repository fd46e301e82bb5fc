"""Makes pyin.npz, the values of librosa.pyin that tests/pitch.rs compares with.

    pip install -r requirements.txt && python make_pyin.py

Arrays; each signal of 16-bit integers is exact in f32 after division by 32768:

    {name}-signal       (samples) i16
    {name}-settings     (5) f64: sample rate, frame length, hop length, fmin, fmax
    {name}-f0           (frames) f32, Hz; NaN where unvoiced; center=False
    {name}-voiced_prob  (frames) f32
"""

from pathlib import Path

import librosa
import numpy as np

RATE = 22050
LENGTH = int(1.2 * RATE)


def signals():
    rng = np.random.default_rng(2)
    n = np.arange(LENGTH)
    t = n / RATE

    def noise():
        return rng.uniform(-1, 1, LENGTH)

    def voice(hz, partials):
        """A harmonic tone of the frequency `hz`, one per sample."""
        phase = np.cumsum(hz) / RATE
        k = np.arange(1, partials + 1)[:, np.newaxis]
        return (np.sin(2 * np.pi * k * phase) / k).sum(axis=0)

    def notes(midi):
        each = LENGTH // len(midi)
        index = np.minimum(n // each, len(midi) - 1)
        return librosa.midi_to_hz(np.array(midi)[index]), n - index * each

    melody, since = notes([57, 60, 64, 67, 69, 55])
    legato = 0.3 * voice(melody, 8) * np.exp(-since / 6000) + 0.001 * noise()
    sung, since = notes([50, 62, 53, 65])
    phrases = np.where(since < 4200, 0.3 * voice(sung, 6), 0) + 0.01 * noise()
    vibrato = 0.3 * voice(330 * 2 ** (0.05 * np.sin(2 * np.pi * 5.5 * t)), 10) + 0.003 * noise()
    glide = 0.3 * voice(98 * 4 ** (n / LENGTH), 12) + 0.02 * noise()
    walk, since = notes([28, 31, 33, 36])
    bass = 0.4 * voice(walk, 8) * np.minimum(1, since / 300) + 0.001 * noise()
    pulses = np.diff(np.floor(np.cumsum(120 + 40 * t) / RATE), prepend=0)
    formants = np.convolve(pulses, np.exp(-np.arange(400) / 60) * np.sin(np.arange(400) * 0.2))[:LENGTH]
    speech = np.where(t % 0.4 < 0.28, 0.5 * formants, 0.15 * noise())
    return {
        "legato": (legato, RATE, 2048, 512, 65.4, 2093),
        "phrases": (phrases, RATE, 2048, 512, 65.4, 2093),
        "vibrato": (vibrato, RATE, 2048, 256, 65.4, 2093),
        "glide": (glide, RATE, 2048, 512, 65.4, 2093),
        # The same samples taken for those of another rate: an octave higher.
        "octave": (phrases, 2 * RATE, 2048, 512, 100.0, 2093),
        "bass": (bass, RATE, 4096, 512, 30.0, 500.0),
        "speech": (speech, RATE, 2048, 256, 65.4, 1000.0),
    }


def main():
    out = {}
    for name, (y, sr, frame, hop, fmin, fmax) in signals().items():
        samples = np.round(np.clip(y, -1, 1) * 32767).astype(np.int16)
        f0, _, voiced_prob = librosa.pyin(
            samples.astype(np.float32) / 32768,
            sr=sr,
            fmin=fmin,
            fmax=fmax,
            frame_length=frame,
            hop_length=hop,
            center=False,
        )
        out[f"{name}-signal"] = samples
        out[f"{name}-settings"] = np.array([sr, frame, hop, fmin, fmax], dtype=np.float64)
        out[f"{name}-f0"] = f0.astype(np.float32)
        out[f"{name}-voiced_prob"] = voiced_prob.astype(np.float32)
        print(name, len(f0), "frames,", int(np.isfinite(f0).sum()), "voiced")
    np.savez_compressed(Path(__file__).with_name("pyin.npz"), **out)


if __name__ == "__main__":
    main()
