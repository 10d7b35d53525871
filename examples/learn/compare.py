#!/usr/bin/env python3
"""How much smaller a learned run is than its states compressed, at the same error.

    compare.py OUTPUT.drr.safetensors RMS       # beside OUTPUT...raw and .times

RMS is the root of the mean squared error that `replay` printed. Prints bytes of: the states as they
are, gzip of them, gzip of numbers rounded to that error, zfp of four dimensions in fixed accuracy with
that error (where Python's zfpy is installed), the file.
"""

import gzip
import sys
from pathlib import Path

import numpy as np


def main():
    if len(sys.argv) != 3:
        return __doc__
    path, rms = Path(sys.argv[1]), float(sys.argv[2])
    header, *_ = Path(f"{path}.times").read_text().splitlines()
    count, *extent = (int(word) for word in header.rpartition(":")[2].split())
    states = np.fromfile(f"{path}.raw", np.float32).reshape(-1, count, *reversed(extent))
    rows = [("states, 32 bits", states.nbytes, 0.0)]
    rows.append(("gzip", len(gzip.compress(states.tobytes(), 6)), 0.0))
    # Rounding to multiples of a step has errors of its twelfth, squared.
    step = rms * 12**0.5
    whole = np.rint(states / step).astype(np.int16)
    error = np.sqrt(np.mean((whole * step - states.astype(np.float64)) ** 2))
    rows.append(("gzip of rounded numbers", len(gzip.compress(whole.tobytes(), 6)), error))
    try:
        rows.append(("zfp, 4D", *zfp(states, rms)))
    except ImportError:
        print("skipped: zfp (pip install zfpy)")
    rows.append(("the file", path.stat().st_size, rms))
    print(f"{len(states)} states of {count} x {' x '.join(map(str, extent))}")
    for name, size, error in rows:
        print(f"{name:<24} {size:>12} bytes {states.nbytes / size:>8.1f} x   rms error {error:.2e}")
    return 0


def zfp(states, rms):
    """Bytes, and the error: of the largest tolerance that keeps it."""
    import zfpy

    def compressed(tolerance):
        size, squares = 0, 0.0
        for value in range(states.shape[1]):
            field = np.ascontiguousarray(states[:, value])
            stream = zfpy.compress_numpy(field, tolerance=tolerance)
            size += len(stream)
            squares += np.mean((zfpy.decompress_numpy(stream) - field.astype(np.float64)) ** 2)
        return size, np.sqrt(squares / states.shape[1])

    # Tolerances count by powers of two; the largest error is some times the mean one.
    exponent = np.floor(np.log2(4 * rms))
    best = compressed(2.0**exponent)
    while best[1] > rms:
        exponent -= 1
        best = compressed(2.0**exponent)
    while (more := compressed(2.0 ** (exponent + 1)))[1] <= rms:
        best, exponent = more, exponent + 1
    return best


if __name__ == "__main__":
    sys.exit(main())
