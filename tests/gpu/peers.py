"""drr's queries on a GPU beside networks in PyTorch, and beside the limits of the GPU.

    python3 peers.py DRR.json OUT.json [--device cuda:N] [--no-compile]
    python3 peers.py DRR.json OUT.json --device cpu --points 4096      # a trial, without a GPU

DRR.json is what benches/gpu_query.rs wrote. The first table has the same networks in PyTorch, before
folding; the second what else the data sets are modelled with (networks.py). Eager PyTorch runs under
autocast in 16 bits, as the reference does; torch.compile has the same functions. The limits are
measured: a copy in memory, and a product of large matrices in 16 bits.
"""

import argparse
import contextlib
import json
import math
import signal
import statistics
import sys
import time

try:
    import torch

    import networks
except ImportError as error:
    sys.exit(f"peers.py: {error}: PyTorch 2.5 or later is needed")

CHUNK = 1 << 20  # points at a time: features of all at once do not fit
FA_INR_CHUNK = 1 << 17  # of which each has 1,024 scores, and 16 values for each of two experts
MOST = {"FA-INR": 1 << 20}  # points; rates do not depend on it, since all are asked in chunks
MOST_OTHERS = 1 << 22
ROUNDS, FEW_ROUNDS = 7, 3
COMPILING = 75  # seconds that torch.compile may take for a network

NEEDED = {"model", "points", "order", "seconds", "shape", "hidden", "layers", "tflops", "gbytes"}


class Bench:
    """Where and how PyTorch is measured."""

    def __init__(self, arguments):
        self.device = torch.device(arguments.device)
        self.points = arguments.points
        self.compiles = not arguments.no_compile
        self.end = time.monotonic() + arguments.budget
        self.notes = []
        self.is_gpu = self.device.type == "cuda"

    def synchronize(self):
        if self.is_gpu:
            torch.cuda.synchronize(self.device)

    def timed(self, call, rounds):
        """Seconds, the median of some rounds; the first ones compile and warm up."""
        times = []
        for round in range(rounds + 2):
            self.synchronize()
            start = time.perf_counter()
            call()
            self.synchronize()
            if round > 1:
                times.append(time.perf_counter() - start)
        return statistics.median(times)

    def rate(self, network, count, chunk, rounds):
        """Points per second."""
        count = self.points or count
        points = torch.rand(count, 3, device=self.device) * 2 - 1
        scalar = torch.float16 if self.is_gpu else torch.bfloat16

        def run():
            with torch.autocast(self.device.type, scalar):
                for some in points.split(chunk):
                    network(some)

        return count / self.timed(run, rounds)

    @torch.inference_mode()
    def rates(self, name, network, counts, chunk, rounds):
        """Eager and compiled rates for some numbers of points. Compiled ones are None where that
        takes too long or fails, which is noted."""
        network = network.to(self.device).eval()
        eager = {count: self.rate(network, count, chunk, rounds) for count in counts}
        compiled = dict.fromkeys(counts)
        try:
            left = min(COMPILING, self.end - time.monotonic())
            if self.compiles and left < 1:
                raise TimeoutError("no time left")
            if self.compiles:
                torch.compiler.reset()
                network.compile()
                with at_most(left):
                    self.rate(network, counts[0], chunk, 1)
                compiled = {count: self.rate(network, count, chunk, rounds) for count in counts}
        except Exception as error:  # whatever a compiler can have
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            self.notes.append(f"{name} is not compiled: {reason[:200]}")
        return {count: (eager[count], compiled[count]) for count in counts}

    @torch.inference_mode()
    def limits(self):
        """Of memory and of arithmetic."""
        bytes, n = (1 << 30, 8192) if self.is_gpu else (1 << 26, 256)
        source = torch.empty(bytes // 4, dtype=torch.float32, device=self.device)
        target = torch.empty_like(source)
        copied = 2 * bytes / self.timed(lambda: target.copy_(source), ROUNDS)
        a, b = (torch.rand(n, n, device=self.device).to(torch.float16) for _ in range(2))
        operations = 2 * n**3 / self.timed(lambda: a @ b, ROUNDS)
        return {"gbytes": copied * 1e-9, "tflops": operations * 1e-12}


@contextlib.contextmanager
def at_most(seconds):
    """What is inside fails after so many seconds."""
    def stop(*_):
        raise TimeoutError(f"it took more than {seconds:.0f} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(math.ceil(seconds))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def millions(rate, width=10):
    if rate is None:
        return f"{'-':>{width}}"
    text = f"{rate * 1e-6:.0f}" if rate >= 1e8 else f"{rate * 1e-6:.3g}"
    return f"{text:>{width}}"


def factor(drr, rate, width=10):
    return f"{'-':>{width}}" if rate is None else f" {drr / rate:>{width - 2}.1f}x"


def drr_net(row):
    """The network of a row before folding."""
    size = networks.SIZES.get(row["model"], {}).get("DRR-Net", {"channels": 24, "latent": 8})
    own = {key: row[key] for key in ("shape", "hidden", "layers")}
    return networks.DrrNet(**{**size, **own})


def same_networks(bench, rows, limit):
    """The first table, and what it measured: rates of DRR-Net by model and number of points."""
    print(f"\n{'model':<12}{'points':>10} {'order':<8}{'drr':>10}{'eager':>10}{'compiled':>10}"
          f"{'faster':>10}{'of limit':>10}   (M points/s; faster than eager)")
    found = {}
    for row in rows:
        name = row["model"]
        if name not in found:  # PyTorch has no lattices
            counts = sorted({other["points"] for other in rows if other["model"] == name})
            found[name] = bench.rates(f"{name}, DRR-Net", drr_net(row), counts, CHUNK, ROUNDS)
        eager, compiled = found[name][row["points"]]
        drr = row["points"] / row["seconds"]
        share = max(row["tflops"] / limit["tflops"], row["gbytes"] / limit["gbytes"])
        print(f"{name:<12}{row['points']:>10} {row['order']:<8}{millions(drr)}{millions(eager)}"
              f"{millions(compiled)}{factor(drr, eager)}{100 * share:>9.0f}%", flush=True)
        row.update(eager_per_second=eager, compiled_per_second=compiled, of_limit=share)
    return found


def other_networks(bench, rows, same):
    """The second table."""
    print(f"\n{'data set':<11} {'network':<15}{'points':>9}{'mult-adds':>10}{'M numbers':>10}"
          f"{'drr':>10}{'eager':>10}{'compiled':>10}{'drr over: eager':>17}{'compiled':>10}")
    table = []
    measured = dict.fromkeys(row["model"] for row in rows)
    for data in measured.keys() - networks.SIZES.keys():
        print(f"skipped: {data}, no published networks")
    for data in (data for data in networks.SIZES if data in measured):
        drr = {row["points"]: row["points"] / row["seconds"]
               for row in rows if row["model"] == data and row["order"] == "random"}
        for name in networks.KINDS:
            most = MOST.get(name, MOST_OTHERS)
            count = max((n for n in drr if n <= most), default=min(drr))
            network = networks.build(data, name).to(bench.device)
            work, numbers = networks.multiply_adds(network), networks.numbers(network)
            if name == "DRR-Net":
                eager, compiled = same[data][count]
            else:
                chunk = FA_INR_CHUNK if name == "FA-INR" else CHUNK
                found = bench.rates(f"{data}, {name}", network, [count], chunk, FEW_ROUNDS)
                eager, compiled = found[count]
            print(f"{data:<11} {name:<15}{count:>9}{work:>10.0f}{numbers * 1e-6:>10.1f}"
                  f"{millions(drr[count])}{millions(eager)}{millions(compiled)}"
                  f"{factor(drr[count], eager, 17)}{factor(drr[count], compiled)}", flush=True)
            table.append({
                "data": data, "network": name, "points": count, "multiply_adds": work,
                "numbers": numbers, "drr_per_second": drr[count], "eager_per_second": eager,
                "compiled_per_second": compiled})
    print(f"(M points/s; random points, one set of simulation parameters; chunks of {CHUNK} points, "
          f"FA-INR {FA_INR_CHUNK}; medians of {FEW_ROUNDS} rounds, DRR-Net {ROUNDS};\n"
          "multiply-adds per point before folding, as the paper counts them; a refined grid counts "
          "with all its numbers)")
    return table


def load(path):
    """What gpu_query wrote."""
    try:
        with open(path) as file:
            ours = json.load(file)
        rows = ours["rows"]
        missing = sorted(set().union(*(NEEDED - set(row) for row in rows)) if rows else NEEDED)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"peers.py: {path}: not what gpu_query writes: {type(error).__name__}: {error}")
    if missing:
        sys.exit(f"peers.py: {path}: no rows with {', '.join(missing)}")
    for model in {row["model"] for row in rows}:
        if not any(row["model"] == model and row["order"] == "random" for row in rows):
            sys.exit(f"peers.py: {path}: no random points for {model}")
    return ours


def options():
    parser = argparse.ArgumentParser(description="PyTorch beside drr on a GPU.")
    parser.add_argument("drr", help="what gpu_query wrote")
    parser.add_argument("out", help="where all figures go, as JSON")
    parser.add_argument("--device", default="cuda:0", help="cuda:N, or cpu for a trial")
    parser.add_argument("--points", type=int, help="PyTorch gets so many, not as many as drr")
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--budget", type=float, default=200, metavar="SECONDS",
                        help="nothing more is compiled after so long [200]")
    arguments = parser.parse_args()
    if arguments.points is not None and arguments.points < 1:
        parser.error("--points: expected 1 or more")
    if arguments.device != "cpu":
        kind, _, number = arguments.device.partition(":")
        number = number or "0"
        if kind != "cuda" or not number.isdigit():
            parser.error(f"--device {arguments.device}: expected cuda:N or cpu")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number) >= count:
            parser.error(f"--device {arguments.device}: PyTorch {torch.__version__} sees {count} "
                         "GPUs (a trial without one: --device cpu --points 4096)")
        torch.cuda.set_device(int(number))
    return arguments


def main():
    arguments = options()
    ours = load(arguments.drr)
    bench = Bench(arguments)
    torch.manual_seed(0)
    limit = bench.limits()
    print(f"PyTorch {torch.__version__} on {arguments.device}; limits: {limit['gbytes']:.0f} GB/s "
          f"copied, {limit['tflops']:.3g} TFLOP/s in 16 bits")
    if arguments.points:
        print(f"PyTorch gets {arguments.points} points: a trial")
    result = {**ours, "limit": limit, "torch": torch.__version__, "networks": []}

    def save():
        with open(arguments.out, "w") as file:
            json.dump({**result, "notes": bench.notes}, file, indent=1)

    same = same_networks(bench, ours["rows"], limit)
    save()
    result["networks"] = other_networks(bench, ours["rows"], same)
    save()
    for note in bench.notes:
        print("note:", note)


if __name__ == "__main__":
    try:
        main()
    except torch.OutOfMemoryError as error:
        sys.exit(f"peers.py: {str(error).splitlines()[0]}")
