"""Makes data/overlap.csv, the verdicts that tests/overlap.rs compares with.

Needs scipy 1.17.1:  python tests/make_overlap.py > tests/data/overlap.csv
A line is: window, length, hop, whether COLA holds, whether NOLA holds.
"""

import scipy
from scipy.signal import check_COLA, check_NOLA, get_window

assert scipy.__version__ == "1.17.1", scipy.__version__

print(f"# scipy {scipy.__version__}")
for window in ["boxcar", "hann", "hamming", "blackman", "blackmanharris", "flattop"]:
    for length in [1, 2, 5, 12, 64, 120]:
        values = get_window(window, length)
        for hop in range(1, length + 1):
            if length > 12 and length % hop and hop % 7:
                continue
            cola, nola = check_COLA(values, length, length - hop), check_NOLA(values, length, length - hop)
            print(f"{window},{length},{hop},{int(cola)},{int(nola)}")
