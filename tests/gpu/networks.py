"""Networks that drr is measured beside, in PyTorch: DRR-Net, K-Planes, Explorable-INR and FA-INR.

They have the sizes and the arithmetic of published configurations, and random weights. One set of
simulation parameters is bound: what depends on it alone is computed once in a call, not per point.

    python3 networks.py      # counts numbers and multiply-adds, and compares with the paper's
"""

import itertools
import math
import sys

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Entries of the reference's configuration files: <data set>/drrnet.yaml (HDINRBase) and
# <data set>/baselines.yaml (KPlaneField, INR_FG, KVMemoryModel).
SIZES = {
    "nyx": {
        "DRR-Net": dict(shape=[128, 128, 128], channels=128, latent=48, hidden=128, layers=3),
        "K-Planes": dict(resolution=[32, 32, 32] + [25] * 3, features=32, scales=[1, 2, 4, 8]),
        "Explorable-INR": dict(volume=[64, 64, 64], planes=[256, 256, 256], features=32,
                               lines=[16] * 3, line_features=16),
        "FA-INR": dict(lines=[16] * 3, line_features=64, features=32, experts=8, manager=16,
                       entries=1024, top=16, layers=4, width=512),
    },
    "mpas_graph": {
        "DRR-Net": dict(shape=[160, 160, 60], channels=160, latent=64, hidden=128, layers=2),
        "K-Planes": dict(resolution=[32, 32, 32] + [25] * 4, features=32, scales=[1, 2, 4, 8]),
        "Explorable-INR": dict(volume=[64, 64, 64], planes=[256, 256, 256], features=32,
                               lines=[16] * 4, line_features=16),
        "FA-INR": dict(lines=[10] * 4, line_features=32, features=16, experts=5, manager=16,
                       entries=512, top=8, layers=2, width=256),
    },
    "clover_600": {
        "DRR-Net": dict(shape=[128, 128, 128], channels=96, latent=48, hidden=128, layers=3),
        "K-Planes": dict(resolution=[16, 16, 16] + [25] * 6, features=32, scales=[1, 2, 4, 8]),
        "Explorable-INR": dict(volume=[48, 48, 48], planes=[96, 96, 96], features=32,
                               lines=[16] * 6, line_features=16),
        "FA-INR": dict(lines=[10] * 6, line_features=32, features=16, experts=5, manager=16,
                       entries=512, top=8, layers=2, width=256),
    },
}

# The paper's multiply-adds per point (T per 10^9), and millions of numbers.
PUBLISHED = {
    ("nyx", "K-Planes"): (57.0e3, 12.1),
    ("nyx", "Explorable-INR"): (39.6e3, 14.7),
    ("nyx", "FA-INR"): (2569.2e3, 9.5),
    ("clover_600", "FA-INR"): (422.1e3, 1.0),
}

PARAMETER = 0.4  # where every simulation parameter is bound, in [0, 1]
HIDDEN = 128  # width of the decoders of all but DRR-Net
MANAGER = 16  # features of FA-INR's choice of experts, whatever manager_hidden_dim says
ADAPTER = 64  # hidden width of what adapts values to parameters in FA-INR
FREQUENCIES = 10  # of FA-INR's encoding of positions
SINE = 30.0  # before the sine of its encoder, as in SIREN
CHOSEN = 2  # experts of FA-INR that answer a point


def random(*shape):
    return nn.Parameter(torch.rand(*shape) - 0.5)


def sample(grid, at, padding="zeros"):
    """Features `[F, points]` of a grid or plane `[1, F, ...]`, the last axis by the first coordinate."""
    ones = [1] * (at.shape[1] - 1)
    at = at.view(1, *ones, -1, at.shape[1])
    found = F.grid_sample(grid, at, padding_mode=padding, align_corners=True)
    return found.view(grid.shape[1], -1)


def beside(features, constants):
    """`[points, features]` with the same constants appended to each."""
    return torch.cat([features, constants.expand(features.shape[0], -1)], 1)


class Decoder(nn.Module):
    """Three hidden layers and one output."""

    def __init__(self, inputs):
        super().__init__()
        widths = [inputs, HIDDEN, HIDDEN, HIDDEN]
        self.hidden = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.last = nn.Linear(HIDDEN, 1)

    def forward(self, x):
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return self.last(x)


class Lines(nn.Module):
    """What all simulation parameters give: features on a line for each, multiplied."""

    def __init__(self, sizes, features):
        super().__init__()
        self.lines = nn.ParameterList(random(features, size) for size in sizes)

    def forward(self):
        product = 1.0
        for line in self.lines:
            at = PARAMETER * (line.shape[1] - 1)
            lower = int(at)
            product = product * torch.lerp(line[:, lower], line[:, lower + 1], at - lower)
        return product


class DrrNet(nn.Module):
    """The refined grid, before folding, and the latent vector of the parameters."""

    def __init__(self, shape, channels, latent, hidden, layers):
        super().__init__()
        self.grid = random(1, channels, *shape)
        self.latent = random(latent)
        widths = [channels + latent] + [hidden] * layers
        self.hidden = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.last = nn.Linear(hidden, 1)

    def forward(self, points):
        x = beside(sample(self.grid, points).T, self.latent)
        for layer in self.hidden:
            x = torch.relu(layer(x))
        return torch.sigmoid(self.last(x))


class KPlanes(nn.Module):
    """Planes over all pairs of coordinates and parameters, multiplied, at several scales."""

    def __init__(self, resolution, features, scales):
        super().__init__()
        self.pairs = list(itertools.combinations(range(len(resolution)), 2))
        self.register_buffer("bound", torch.full((len(resolution) - 3,), PARAMETER))
        self.scales = nn.ModuleList()
        for scale in scales:  # of space alone
            sizes = [size * scale for size in resolution[:3]] + resolution[3:]
            planes = (random(1, features, sizes[j], sizes[i]) for i, j in self.pairs)
            self.scales.append(nn.ParameterList(planes))
        self.decoder = Decoder(features * len(scales))
        self.plane = times_plane

    def compile(self):
        """What a plane does, once for each size: of the whole, a compiler (for CPUs) took minutes."""
        torch._dynamo.config.recompile_limit = 64
        self.plane = torch.compile(times_plane, dynamic=False)
        self.decoder.compile()

    def forward(self, points):
        columns = beside(points, self.bound).unbind(1)
        at = [torch.stack([columns[i], columns[j]], 1) for i, j in self.pairs]
        features = []
        for planes in self.scales:
            first, *others = zip(planes, at)
            product = sample(*first, "border")
            for plane, there in others:
                product = self.plane(product, plane, there)
            features.append(product)
        return self.decoder(torch.cat(features).T)


def times_plane(product, plane, at):
    """Features `[F, points]`."""
    return product * sample(plane, at, "border")


class ExplorableInr(nn.Module):
    """A volume times three planes, beside the lines of the parameters."""

    def __init__(self, volume, planes, features, lines, line_features):
        super().__init__()
        a, b, c = planes
        self.volume = random(1, features, *volume)
        self.planes = nn.ParameterList(random(1, features, *s) for s in ((a, b), (a, c), (b, c)))
        self.lines = Lines(lines, line_features)
        self.decoder = Decoder(features + line_features)

    def forward(self, points):
        x, y, z = points.unbind(1)
        product = sample(self.volume, points)
        for plane, at in zip(self.planes, ((y, z), (x, z), (x, y))):
            product = product * sample(plane, torch.stack(at, 1))
        return torch.sigmoid(self.decoder(beside(product.T, self.lines())))


class Manager(nn.Module):
    """Which experts a point asks, and how much each counts."""

    def __init__(self, size, experts):
        super().__init__()
        self.grid = random(1, MANAGER, size, size, size)
        self.linear = nn.Linear(MANAGER, experts)

    def forward(self, points):
        chances = self.linear(sample(self.grid, points).T).softmax(-1)
        chances, chosen = chances.topk(CHOSEN, -1)
        return chances / chances.sum(-1, keepdim=True), chosen


class Expert(nn.Module):
    """A network with sines asks a memory of keys and values; what it finds adapts to parameters."""

    def __init__(self, size, norm):
        super().__init__()
        features, self.top = size["features"], size["top"]
        widths = [3 + 2 * 3 * FREQUENCIES] + [size["width"]] * (size["layers"] + 1) + [features]
        self.encoder = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.keys = random(size["entries"], features)
        self.values = random(size["entries"], features)
        self.query, self.key, self.value = (
            nn.Linear(features, features, bias=False) for _ in range(3))
        self.adapter = nn.Sequential(
            nn.Linear(features + size["line_features"], ADAPTER), nn.ReLU(),
            nn.Linear(ADAPTER, features), nn.LayerNorm(features))
        self.norm = norm  # the same of all experts
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(FREQUENCIES))

    def encode(self, points):
        angles = points[:, None, :] * self.frequencies[:, None]
        waves = torch.stack([angles.sin(), angles.cos()], -1)
        x = torch.cat([points, waves.flatten(1)], 1)
        for layer in self.encoder[:-1]:
            x = torch.sin(SINE * layer(x))
        return self.encoder[-1](x)

    def forward(self, points, lines):
        x = self.encode(points)
        scores = self.query(self.norm(x)) @ self.key(self.keys).T
        scores, best = scores.topk(self.top, -1)
        values = self.value(self.values)[best]
        adapted = self.adapter(torch.cat([values, lines.expand(*best.shape, -1)], -1)) + values
        weights = (scores / x.shape[1] ** 0.5).softmax(-1)
        return (weights[:, None, :] @ adapted.to(weights.dtype))[:, 0] + x


class FaInr(nn.Module):
    """Experts, two of which answer each point."""

    def __init__(self, **size):
        super().__init__()
        self.manager = Manager(size["manager"], size["experts"])
        norm = nn.LayerNorm(size["features"])
        self.experts = nn.ModuleList(Expert(size, norm) for _ in range(size["experts"]))
        self.lines = Lines(size["lines"], size["line_features"])
        self.decoder = Decoder(size["features"])

    def compile(self):
        """The parts; how many points an expert has is found out in between."""
        for part in (self.manager, self.decoder):
            part.compile()
        for part in self.experts:
            part.compile(dynamic=True)

    def forward(self, points):
        chances, chosen = self.manager(points)
        lines = self.lines()
        sums = points.new_zeros(points.shape[0], self.experts[0].values.shape[1])
        for n, expert in enumerate(self.experts):
            own, rank = (chosen == n).nonzero(as_tuple=True)
            if len(own) > 0:
                found = expert(points[own], lines) * chances[own, rank, None]
                sums.index_add_(0, own, found.to(sums.dtype))
        return torch.sigmoid(self.decoder(sums))


KINDS = {"DRR-Net": DrrNet, "FA-INR": FaInr, "K-Planes": KPlanes,
         "Explorable-INR": ExplorableInr}


def build(data, name):
    """The network of that name for a data set."""
    return KINDS[name](**SIZES[data][name])


def numbers(network):
    """How many can be trained; a refined grid counts as it is."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def multiply_adds(network, points=1 << 13):
    """Per point, as the paper's profiler counts: those of layers, 4 a feature of any grid, 5 a
    number that LayerNorm normalises.

    The paper's FA-INR has the scores of the chosen keys twice (0.04 %); here they are kept. Keys and
    values are transformed once for all points that are asked together: 0.1 % with so few.
    """
    def per_number(count):  # the counter takes two operations for a multiply-add
        return lambda *_, out_shape, **__: 2 * count * math.prod(out_shape)

    def norm(*_, out_shape, **__):
        return 2 * 5 * math.prod(out_shape[0])

    aten = torch.ops.aten
    own = {aten.grid_sampler_2d: per_number(4), aten.grid_sampler_3d: per_number(4),
           aten.native_layer_norm: norm}
    device = next(network.parameters()).device
    with FlopCounterMode(display=False, custom_mapping=own) as counter:
        network(torch.rand(points, 3, device=device) * 2 - 1)
    return counter.get_total_flops() / 2 / points


def main():
    """Compares with the paper's figures; 1 if some differ by more than 1 % (numbers: as rounded)."""
    torch.manual_seed(0)
    is_wrong = False
    print(f"{'data set':<12}{'network':<16}{'multiply-adds':>14}{'paper':>10}{'':>8}"
          f"{'M numbers':>11}{'paper':>7}")
    for data, name in itertools.product(SIZES, KINDS):
        network = build(data, name)
        counted, size = multiply_adds(network), numbers(network) * 1e-6
        line = f"{data:<12}{name:<16}{counted:>14.0f}"
        if (data, name) in PUBLISHED:
            expected, expected_size = PUBLISHED[data, name]
            off = counted / expected - 1
            is_right = abs(off) < 0.01 and abs(size - expected_size) < 0.051
            is_wrong |= not is_right
            line += f"{expected:>10.0f}{100 * off:>+7.2f}%{size:>11.2f}{expected_size:>7.1f}"
            print(line + ("" if is_right else "   wrong"))
        else:
            print(f"{line}{'':>18}{size:>11.2f}")
    return int(is_wrong)


if __name__ == "__main__":
    sys.exit(main())
