"""Makes the sound files in `fixtures/`, which the tests compare with the signal they were made from.

Run in this folder: python make_fixtures.py (needs numpy and ffmpeg 5.1 or later, with libmp3lame and libvorbis).

Left: an exponential sine sweep from 200 to 6000 Hz, amplitude 0.5. Right: 0.25 sin(2 pi 1000 t).
Both start at once, so that a delay of one sample shows.
"""

import pathlib
import subprocess

import numpy as np

HERE = pathlib.Path(__file__).parent / "fixtures"


def sweep(rate, length, start=200.0, end=6000.0, amplitude=0.5):
    seconds, growth = length / rate, np.log(end / start)
    cycles = start * seconds / growth * (np.exp(growth * np.arange(length) / length) - 1.0)
    return amplitude * np.sin(2.0 * np.pi * np.mod(cycles, 1.0))


def stereo(rate, length):
    return np.stack([sweep(rate, length), 0.25 * np.sin(2.0 * np.pi * 1000.0 * np.arange(length) / rate)], axis=1)


def encode(name, rate, samples, *options):
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "f64le", "-ar", str(rate), "-ac", str(channels), "-i", "-"]
    command += ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact", *options, str(HERE / name)]
    subprocess.run(command, input=samples.astype("<f8").tobytes(), check=True)
    print(name, (HERE / name).stat().st_size, "bytes")


HERE.mkdir(exist_ok=True)

lossless = stereo(16_000, 5000)
encode("sweep.flac", 16_000, lossless, "-sample_fmt", "s16", "-c:a", "flac", "-frame_size", "512")
encode("sweep-24.flac", 16_000, lossless[:2500], "-c:a", "flac", "-sample_fmt", "s32", "-bits_per_raw_sample", "24")
encode("sweep.alac.m4a", 16_000, lossless, "-c:a", "alac", "-sample_fmt", "s16p")
encode("sweep.aiff", 16_000, lossless[:2500], "-c:a", "pcm_s16be")
encode("sweep.f64.wav", 16_000, lossless[:1000], "-c:a", "pcm_f64le")
encode("sweep.mulaw.wav", 16_000, lossless[:2500], "-c:a", "pcm_mulaw")

lossy = stereo(44_100, 40_000)
encode("sweep.mp3", 44_100, lossy, "-c:a", "libmp3lame", "-b:a", "96k")
encode("sweep.ogg", 44_100, lossy, "-c:a", "libvorbis", "-q:a", "1", "-page_duration", "100000")
encode("sweep.aac.m4a", 44_100, lossy, "-c:a", "aac", "-b:a", "96k")
encode("sweep.adts.aac", 44_100, lossy[:20_000], "-c:a", "aac", "-b:a", "64k", "-f", "adts")

# Noise, then a soft sweep, at a variable bit rate and without the tag that counts packets: a guess of the length from
# the first packets, which are large, is too short.
noise = np.random.default_rng(0).uniform(-0.5, 0.5, 20_000)
noise_first = np.concatenate([noise, 0.5 * sweep(44_100, 40_000)])
encode("untagged.mp3", 44_100, noise_first, "-c:a", "libmp3lame", "-q:a", "6", "-write_xing", "0", "-id3v2_version", "0")
