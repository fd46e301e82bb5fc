"""What the networks are trained on: random equalizers, and random programme heard through them.

Nothing here is recorded. A programme is a spectrum, not a sound: the long-term mean in 64 mel bands, drawn as the sum of
what recordings are reported to have in common and of deviations of every width. Its constants are round numbers.
"""

import numpy as np

POINTS = 128  # of a curve, evenly spaced in pitch, 20 Hz to 20 kHz
FREQUENCIES = 20.0 * 1000.0 ** (np.arange(POINTS) / (POINTS - 1))
BANDS = 64
TOP = 16_000.0  # where the highest mel band ends, in Hz
CLAMP = 30.0  # dB from the mean programme that a band is taken for at most

# Low shelf, three bells, high shelf: the ranges of the SAFE equaliser (Stables et al., 2014).
KINDS = ["low", "peak", "peak", "peak", "high"]
RANGES = [(22.0, 1000.0), (82.0, 3900.0), (180.0, 4700.0), (220.0, 10_000.0), (580.0, 20_000.0)]
SHELF_Q = 0.71


def mel(hz):
    """Slaney's scale."""
    hz = np.asarray(hz, float)
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1) / 1000) * 27 / np.log(6.4))


def hertz(mel):
    mel = np.asarray(mel, float)
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


CENTRES = hertz(np.linspace(0, mel(TOP), BANDS + 2))[1:-1]
OCTAVES = np.log2(CENTRES / 1000)
# The level of a spectrum is its mean over octaves between 100 Hz and 3.5 kHz, where every rate and all music has something.
LEVEL = np.gradient(OCTAVES) * ((CENTRES >= 100) & (CENTRES <= 3500))
LEVEL /= LEVEL.sum()


def bent(corners):
    """Straight lines in dB between corners (Hz, dB), at the bands' centres and at level 0."""
    frequencies, gains = zip(*corners)
    curve = np.interp(OCTAVES, np.log2(np.array(frequencies) / 1000), gains)
    return curve - LEVEL @ curve


def mean_programme():
    """Power density of music in dB at the bands' centres, at level 0.

    -5 dB per octave between 100 Hz and 4 kHz and steeper above, as reported for popular recordings (Pestana et al., AES
    Convention 135, 2013); the bend above and the fall below 60 Hz are round numbers.
    """
    return bent([(20, -10.0), (60, 0.0), (100, 0.0), (4000, -26.6), (8000, -36.0), (16_000, -48.0)])


def orchestra():
    """The same of orchestras: even up to 450 Hz, -9 dB per octave above (Sundberg, The Science of the Singing Voice, 1987).

    What is below 100 Hz and above 4 kHz are round numbers.
    """
    return bent([(20, -24.0), (60, -6.0), (100, -3.0), (450, 0.0), (4000, -28.4), (8000, -37.4), (16_000, -49.0)])


def magnitude_db(f, kind, frequency, gain, q):
    """Analogue prototypes of the Audio EQ Cookbook (R. Bristow-Johnson); broadcasts."""
    s = 1j * f / frequency
    a = 10.0 ** (gain / 40.0)
    if kind == "peak":
        h = (s * s + s * a / q + 1) / (s * s + s / (a * q) + 1)
    elif kind == "low":
        h = a * (s * s + np.sqrt(a) / q * s + a) / (a * s * s + np.sqrt(a) / q * s + 1)
    else:
        h = a * (a * s * s + np.sqrt(a) / q * s + 1) / (s * s + np.sqrt(a) / q * s + a)
    return 20.0 * np.log10(np.abs(h))


def random_equalizers(rng, n, shelf, bell, limit, q):
    """Frequencies, gains and Qs of n equalizers of five bands: `[n, 5]` each.

    Gains are normal with deviation `shelf` or `bell` within `limit` dB, three in ten are 0; frequencies and Q are even in
    pitch over their ranges.
    """
    low, high = np.array(RANGES).T
    frequency = low * (high / low) ** rng.random((n, 5))
    gain = rng.normal(0, 1, (n, 5)) * np.array([shelf, bell, bell, bell, shelf])
    gain = np.clip(gain, -limit, limit) * (rng.random((n, 5)) < 0.7)
    width = q[0] * (q[1] / q[0]) ** rng.random((n, 5))
    width[:, [0, 4]] = SHELF_Q
    return frequency, gain, width


def settings(rng, n):
    """As people might set them, over everything the five bands can do: what the latent must hold."""
    return random_equalizers(rng, n, shelf=5.0, bell=5.0, limit=12.0, q=(0.1, 10.0))


def characters(rng, n):
    """As recordings differ in tone, broadly: what is to be heard. The deviations are round numbers, near enough."""
    return random_equalizers(rng, n, shelf=7.4, bell=1.0, limit=20.0, q=(0.25, 0.8))


def responses(f, equalizers):
    """dB of n equalizers at frequencies f: `[n, len(f)]`."""
    frequency, gain, q = equalizers
    total = np.zeros((len(gain), len(f)))
    for k, kind in enumerate(KINDS):
        total += magnitude_db(f[None], kind, frequency[:, k, None], gain[:, k, None], q[:, k, None])
    return total


def random_programmes(rng, n):
    """Deviations of n programmes from `mean_programme`, in dB: `[n, BANDS]`."""
    distance = OCTAVES[:, None] - OCTAVES[None]

    def smooth(width, deviation):
        covariance = np.exp(-0.5 * (distance / width) ** 2) + 1e-6 * np.eye(BANDS)
        return rng.normal(0, deviation, (n, BANDS)) @ np.linalg.cholesky(covariance).T

    # Every programme has its own restlessness, so that the whole has the heavy tails of real collections.
    restless = 0.6 * np.exp(rng.normal(0, 0.4, (n, 1)))
    d = rng.normal(0, 0.8, (n, 1)) * OCTAVES + smooth(1.5, 3.0) + smooth(0.5, 2.5) + smooth(0.15, 2.0)
    d *= restless
    # Popular or orchestral, and far beyond either: which of the two it is like is hardly heard as tone.
    d += rng.normal(0, 2.0, (n, 1)) * (orchestra() - mean_programme())
    # Voices, single instruments and old or lossy recordings stop somewhere on either side.
    top = np.log2(2.0) + 3.0 * rng.random((n, 1))
    d -= (rng.random((n, 1)) < 0.1) * rng.uniform(3, 30, (n, 1)) * np.maximum(0, OCTAVES - top)
    low = np.log2(0.04) + 3.3 * rng.random((n, 1))
    d -= (rng.random((n, 1)) < 0.1) * rng.uniform(3, 24, (n, 1)) * np.maximum(0, low - OCTAVES)
    return d


def heard(rng, programmes, equalizers):
    """What `ToneEar` in the Rust code makes of programmes without and with equalizers: two `[n, BANDS]`, dB."""
    n = len(programmes)
    # A mean over few frames is uncertain.
    noise = rng.normal(0, 1, (n, BANDS)) * 3.0 * rng.random((n, 1)) ** 2
    # At low rates the upper bands do not exist; they count as what music has on average.
    top = np.where(rng.random((n, 1)) < 0.15, 3500 * 4.0 ** rng.random((n, 1)), np.inf)
    for d in programmes + noise, programmes + noise + responses(CENTRES, equalizers):
        d = d - d @ LEVEL[:, None]
        yield np.clip(np.where(CENTRES > top, 0.0, d), -CLAMP, CLAMP).astype(np.float32)


def timbre(curves):
    """Curves without their level, which no one can know from a recording."""
    return curves - curves.mean(axis=1, keepdims=True)
