"""Makes matlab.npz of librosa's MATLAB reference data: `python matlab.py FOLDER`, a folder of its .mat files.

The .mat files were made with D. P. W. Ellis's MATLAB functions for librosa's own regression tests
(https://github.com/librosa/librosa, folder tests/data), under the ISC licence in LICENSE-librosa. Taken are all of
hz_to_mel, mel_to_hz and hz_to_octs, and the mel and chroma filterbanks of the shortest transforms; with
`--all` every filterbank, for a check that is not committed. Arrays:

    {hz_to_mel|mel_to_hz}-{htk|slaney}-{number}-{in|out}   (n)
    hz_to_octs-{number}-{in|out}                           (n)
    melfb-{number}-args     sr, nfft, nfilts, width, fmin, fmax, htk
    melfb-{number}-wts      (nfilts, nfft / 2 + 1)
    chromafb-{number}-args  sr, nfft, nchroma, a440, ctroct, octwidth
    chromafb-{number}-wts   (nchroma, nfft / 2 + 1)
"""

import sys
from pathlib import Path

import numpy as np
import scipy.io

ARGUMENTS = {
    "melfb": ["sr", "nfft", "nfilts", "width", "fmin", "fmax", "htk"],
    "chromafb": ["sr", "nfft", "nchroma", "a440", "ctroct", "octwidth"],
}


def main(folder, everything):
    out = {}
    for path in sorted(Path(folder).glob("feature-*.mat")):
        _, kind, number = path.stem.split("-")
        data = scipy.io.loadmat(path)
        if kind in ARGUMENTS:
            arguments = [float(data[name].ravel()[0]) for name in ARGUMENTS[kind]]
            n_fft = int(arguments[1])
            if everything or n_fft <= 256:
                out[f"{kind}-{number}-args"] = np.array(arguments)
                out[f"{kind}-{number}-wts"] = data["wts"][:, : n_fft // 2 + 1].astype(np.float32)
        else:
            scale = ("htk-" if data["htk"].ravel()[0] else "slaney-") if "htk" in data else ""
            out[f"{kind}-{scale}{number}-in"] = data["f"].ravel().astype(np.float64)
            out[f"{kind}-{scale}{number}-out"] = data["result"].ravel().astype(np.float64)
    np.savez_compressed(Path(__file__).with_name("matlab.npz"), **{k: np.ascontiguousarray(v) for k, v in out.items()})


if __name__ == "__main__":
    main(sys.argv[1], "--all" in sys.argv)
