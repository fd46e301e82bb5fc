"""Makes data/windows.csv, the values that tests/window_functions.rs compares with.

Needs scipy 1.17.1:  python tests/make_windows.py > tests/data/windows.csv
A line is: window, parameter (or empty), symmetry, length, stride, then every stride-th value.
"""

import scipy
from scipy.signal import get_window

assert scipy.__version__ == "1.17.1", scipy.__version__

WINDOWS = [
    ("boxcar", None), ("hann", None), ("hamming", None), ("blackman", None), ("blackmanharris", None),
    ("kaiser", 0.0), ("kaiser", 5.0), ("kaiser", 14.0), ("kaiser", 300.0),
    ("gaussian", 0.7), ("gaussian", 7.0), ("gaussian", 300.0),
    ("tukey", 0.0), ("tukey", 0.1), ("tukey", 0.5), ("tukey", 1.0), ("flattop", None),
]
SIZES = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (16, 1), (33, 1), (400, 23), (2048, 97), (4095, 197)]

print(f"# scipy {scipy.__version__}")
for name, parameter in WINDOWS:
    for symmetry, fftbins in [("periodic", True), ("symmetric", False)]:
        for length, stride in SIZES:
            window = name if parameter is None else (name, parameter)
            values = get_window(window, length, fftbins=fftbins)[::stride]
            fields = [name, "" if parameter is None else parameter, symmetry, length, stride]
            print(",".join(map(str, fields)) + "," + ",".join(f"{v:.10g}" for v in values))
