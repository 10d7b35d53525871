"""The networks of benches/gpu_query.rs in PyTorch, and the limits of the GPU, beside drr's figures.

    python3 peers.py DRR.json OUT.json

Eager PyTorch evaluates the grid before folding (grid_sample), appends the latent vector and runs the
layers under autocast in 16 bits, as the reference does; torch.compile has the same function. The
limits are measured: a copy in memory, and a product of large matrices in 16 bits.
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

ROUNDS = 7
CHUNK = 1 << 22  # points at a time: features of all at once do not fit
LATENT = {"clover_600": 48, "nyx": 48, "mpas_graph": 64}
CHANNELS = {"clover_600": 96, "nyx": 128, "mpas_graph": 160}


def timed(call):
    """Seconds, the median of some rounds; the first ones compile and warm up."""
    times = []
    for round in range(ROUNDS + 2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        if round > 1:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


class Network(torch.nn.Module):
    def __init__(self, row):
        super().__init__()
        name, hidden = row["model"], row["hidden"]
        channels, latent = CHANNELS.get(name, hidden), LATENT.get(name, 8)
        self.grid = torch.nn.Parameter(torch.rand(1, channels, *row["shape"]))
        self.latent = torch.nn.Parameter(torch.rand(latent))
        widths = [channels + latent] + [hidden] * row["layers"]
        self.hidden = torch.nn.ModuleList(map(torch.nn.Linear, widths, widths[1:]))
        self.last = torch.nn.Linear(hidden, 1)

    def forward(self, points):
        at = points.view(1, -1, 1, 1, 3)
        x = F.grid_sample(self.grid, at, align_corners=True).view(self.grid.shape[1], -1).T
        x = torch.cat([x, self.latent.expand(x.shape[0], -1)], 1)
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return torch.sigmoid(self.last(x))


@torch.inference_mode()
def seconds(row, is_compiled):
    network = Network(row).cuda()
    call = torch.compile(network) if is_compiled else network
    points = torch.rand(row["points"], 3, device="cuda") * 2 - 1

    def run():
        with torch.autocast("cuda", torch.float16):
            for chunk in points.split(CHUNK):
                call(chunk)

    return timed(run)


@torch.inference_mode()
def limits():
    source = torch.empty(1 << 28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * source.numel() * 4 / timed(lambda: target.copy_(source))
    n = 8192
    a, b = (torch.rand(n, n, device="cuda", dtype=torch.float16) for _ in range(2))
    return {"gbytes": copied * 1e-9, "tflops": 2 * n**3 / timed(lambda: a @ b) * 1e-12}


def main():
    with open(sys.argv[1]) as file:
        ours = json.load(file)
    limit = limits()
    print(f"limits: {limit['gbytes']:.0f} GB/s copied, {limit['tflops']:.0f} TFLOP/s in 16 bits")
    print(f"{'model':<12}{'points':>10} {'order':<8}{'drr':>9}{'eager':>9}{'compile':>9}"
          f"{'faster':>8}{'of limit':>9}   (Mpoints/s)")
    peers = {}
    for row in ours["rows"]:
        key = row["model"], row["points"]
        if key not in peers:  # PyTorch has no lattices
            peers[key] = [seconds(row, is_compiled) for is_compiled in (False, True)]
        eager, compiled = peers[key]
        share = max(row["tflops"] / limit["tflops"], row["gbytes"] / limit["gbytes"])
        rates = [row["points"] / s * 1e-6 for s in (row["seconds"], eager, compiled)]
        print(f"{row['model']:<12}{row['points']:>10} {row['order']:<8}"
              + "".join(f"{rate:>9.0f}" for rate in rates)
              + f"{eager / row['seconds']:>7.1f}x{100 * share:>8.0f}%")
        row.update(eager=eager, compile=compiled, of_limit=share)
    with open(sys.argv[2], "w") as file:
        json.dump({**ours, "limit": limit, "torch": torch.__version__}, file, indent=1)


if __name__ == "__main__":
    main()
