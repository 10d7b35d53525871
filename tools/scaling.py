#!/usr/bin/env python3
"""How training gets faster with processes: measured here, and predicted for more than there are.

    python3 tools/scaling.py --config configs/cloverleaf64.yaml --data DIR [--ranks 1,2]

The program has to be built with MPI:

    cargo build --release -p drr-train --features mpi

Each number of processes trains for some steps, in turn, with one thread each; rates are medians of
what the runs reported after their first half. Beside them, as many processes train at the same time that
know nothing of each other, each on a part of a batch: what the machine can do. And one process trains on
the part of a batch that each of N processes has: with the time of adding up the gradients that is the
prediction (docs/scaling.md).

    python3 tools/scaling.py --config FILE --data DIR --ranks 1,2,4 --decompose

compares processes that share points with processes that cut fields and grids into blocks: time, and the
most memory that one of them takes.
"""

import argparse
import csv
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Open MPI starts neither as root nor more processes than cores of its own accord.
MPI = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_mpi_yield_when_idle": "1",
    "OMP_NUM_THREADS": "1",
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--config", required=True, help="configuration of a training")
    parser.add_argument("--data", required=True, help="its ensemble")
    parser.add_argument("--program", default=ROOT / "target/release/drr-train", type=Path)
    parser.add_argument("--ranks", default="1,2", help="numbers of processes [default: 1,2]")
    parser.add_argument("--points", default=4096, type=int, help="points of a batch, per member")
    parser.add_argument("--members", default=8, type=int, help="members of a batch")
    parser.add_argument("--steps", default=60, type=int, help="of each run [default: 60]")
    parser.add_argument("--rounds", default=3, type=int, help="of all runs [default: 3]")
    parser.add_argument("--decompose", action="store_true", help="compare with blocks, no prediction")
    parser.add_argument("--predict", default="2,4,8,16,64,256,1024,4096", help="processes")
    parser.add_argument("--latency", default=2e-6, type=float, help="of a message, in s")
    parser.add_argument("--bandwidth", default=10e9, type=float, help="of a process, in bytes/s")
    arguments = parser.parse_args()
    ranks = [int(n) for n in arguments.ranks.split(",")]
    predicted = [int(n) for n in arguments.predict.split(",")]
    if not arguments.program.exists():
        return f"scaling: there is no {arguments.program}: build it as the head of this file says"

    if arguments.decompose:
        return decompose(arguments, ranks)

    # What one process does of a batch that N share.
    shares = sorted({max(1, arguments.points // n) for n in [1, *ranks, *predicted]}, reverse=True)
    runs = [(kind, n) for n in ranks for kind in ("ranks", "apart")]
    runs += [("share", points) for points in shares]
    times = {run: [] for run in runs}
    for round_ in range(arguments.rounds):
        for kind, n in runs:
            if kind == "apart":
                part = max(1, arguments.points // n)
                with ThreadPoolExecutor(n) as pool:
                    found = list(pool.map(lambda _: train(arguments, 1, part), range(n)))
                seconds, size = statistics.mean(seconds for seconds, *_ in found), found[0][1]
            else:
                points, processes = (arguments.points, n) if kind == "ranks" else (n, 1)
                seconds, size, _ = train(arguments, processes, points)
            times[kind, n].append(seconds)
            print(f"round {round_ + 1}: {kind} {n}: {1e3 * seconds:.2f} ms/step", flush=True)
    median = {run: statistics.median(found) for run, found in times.items()}

    print(f"\n{size} trainable numbers; batches of {arguments.members} x {arguments.points} points")
    print("\n| processes | ms/step | faster | efficiency | parts apart, ms/step | predicted, ms/step |")
    print("| --- | --- | --- | --- | --- | --- |")
    alone = median["ranks", ranks[0]] * ranks[0]
    for n in ranks:
        faster = alone / median["ranks", n]
        guess = 1e3 * predict(arguments, median, size, n)
        print(f"| {n} | {1e3 * median['ranks', n]:.1f} | {faster:.2f} | {faster / n:.2f} | "
              f"{1e3 * median['apart', n]:.1f} | {guess:.1f} |")
    first = median["share", arguments.points]
    print("\npredicted, with messages of "
          f"{1e6 * arguments.latency:g} us and {1e-9 * arguments.bandwidth:g} GB/s:\n")
    print("| processes | gradients, ms | one batch shared | efficiency | a batch each: efficiency |")
    print("| --- | --- | --- | --- | --- |")
    for n in predicted:
        shared, sums = predict(arguments, median, size, n), reduction(arguments, size, n)
        print(f"| {n} | {1e3 * sums:.3f} | {first / shared:.1f} x | {first / shared / n:.3f} | "
              f"{first / (first + sums):.3f} |")
    return 0


def decompose(arguments, ranks):
    """Processes that share points beside processes that have blocks."""
    runs = [(n, more) for n in ranks for more in ((), ("--decompose", "auto"))]
    found = {run: [] for run in runs}
    for round_ in range(arguments.rounds):
        for n, more in runs:
            seconds, size, memory = train(arguments, n, arguments.points, more)
            found[n, more].append((seconds, memory))
            print(f"round {round_ + 1}: {n} {' '.join(more)}: {1e3 * seconds:.2f} ms/step, "
                  f"{memory / 1024:.0f} MiB", flush=True)
    print(f"\n{size} trainable numbers; batches of {arguments.members} x {arguments.points} points\n")
    print("| processes | points shared, ms/step | most memory of one, MiB | blocks, ms/step | MiB |")
    print("| --- | --- | --- | --- | --- |")
    for n in ranks:
        cells = []
        for more in ((), ("--decompose", "auto")):
            seconds = statistics.median(seconds for seconds, _ in found[n, more])
            memory = statistics.median(memory for _, memory in found[n, more])
            cells += [f"{1e3 * seconds:.1f}", f"{memory / 1024:.0f}"]
        print(f"| {n} | {' | '.join(cells)} |")
    return 0


def predict(arguments, median, size, n):
    """Seconds of a step of n processes that share a batch."""
    return median["share", max(1, arguments.points // n)] + reduction(arguments, size, n)


def reduction(arguments, size, n):
    """Seconds of adding up so many 32-bit numbers: halves are sent on and come back."""
    if n == 1:
        return 0.0
    data = 2 * (n - 1) / n * 4 * size / arguments.bandwidth
    return 2 * math.ceil(math.log2(n)) * arguments.latency + data


def train(arguments, processes, points, more=()):
    """Seconds of a step, how many numbers the model has, and the most KiB that a process took."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [str(arguments.program), "train", "--config", arguments.config]
        command += ["--data", arguments.data, "--out", str(out), "--device", "cpu"]
        command += ["--steps", str(arguments.steps), "--batch-points", str(points)]
        command += ["--batch-members", str(arguments.members)]
        command += ["--set", f"train.report_steps={max(1, arguments.steps // 10)}", *more]
        if processes > 1:
            command = ["mpirun", "-n", str(processes), *command]
        # To a file: a pipe that is full would stop it, and wait4 tells of memory.
        with open(Path(folder) / "said", "w+") as said:
            started = subprocess.Popen(command, env={**os.environ, **MPI}, stderr=said)
            _, status, used = os.wait4(started.pid, 0)
            started.returncode = os.waitstatus_to_exitcode(status)
            said.seek(0)
            text = said.read()
        if started.returncode != 0:
            sys.exit(f"scaling: {' '.join(command)}\n{text}")
        size = int(re.search(r"model: (\d+) trainable", text).group(1))
        with open(out / "metrics.csv", newline="") as file:
            rates = [float(row["steps_per_s"]) for row in csv.DictReader(file)]
    return 1 / statistics.median(rates[len(rates) // 2 :]), size, used.ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
