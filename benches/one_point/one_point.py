"""Nanoseconds that a query of one warm point takes from Python.

usage: one_point.py MODEL CALLS
"""

import sys
import time

import numpy as np

import drr

calls = int(sys.argv[2])
with drr.open(sys.argv[1]) as model, model.at([0.5, 0.5]) as sampler:
    point = np.full((1, 3), 0.5)
    values = np.empty((1, 2))
    total, start = 0.0, 0
    for call in range(-calls // 10, calls):
        if call == 0:
            start = time.perf_counter_ns()
        point[0, 0] = (call & 255) / 256
        sampler(point, out=values)
        total += values[0, 0]
    print(f"{(time.perf_counter_ns() - start) / calls:.1f} {total:g}")
