"""The models that the tests ask, and where in them they ask."""

import atexit
import tempfile
from pathlib import Path

import baked
import numpy as np

FOLDER = tempfile.TemporaryDirectory()
atexit.register(FOLDER.cleanup)


def tensors_of(spec, grid="<f4"):
    """Random tensors for a description, the same each time."""
    random = np.random.default_rng(7)
    tensors = {}
    for n, entry in enumerate(spec["grids"]):
        shape, channels = entry["shape"], entry["channels"]
        numbers = random.uniform(-1, 1, (*shape, channels))
        if grid == "i1":
            tensors[f"grid.{n}"] = np.round(numbers * 127).astype(grid)
            tensors[f"grid.{n}.scale"] = random.uniform(0.004, 0.01, channels).astype("<f4")
            tensors[f"grid.{n}.zero"] = random.uniform(-0.1, 0.1, channels).astype("<f4")
        else:
            tensors[f"grid.{n}"] = numbers.astype(grid)
    for n, line in enumerate(spec["lines"]):
        shape = line["vertices"], line["features"]
        tensors[f"line.{n}"] = random.uniform(-1, 1, shape).astype("<f4")
    if spec["input"]["bias"]:
        tensors["input.bias"] = random.uniform(-1, 1, spec["input"]["width"]).astype("<f4")
    for n, layer in enumerate(spec["layers"]):
        shape = layer["outputs"], layer["inputs"]
        weight = random.uniform(-1, 1, shape) / np.sqrt(layer["inputs"]) * 2
        tensors[f"layer.{n}.weight"] = weight.astype("<f4")
        tensors[f"layer.{n}.bias"] = random.uniform(-0.5, 0.5, layer["outputs"]).astype("<f4")
    return tensors


def span(name, unit, low, high, **more):
    return {"name": name, "unit": unit, "min": low, "max": high, **more}


def box(values, dims=3):
    """A description over a box, of so many values, the second of them trained as a logarithm."""
    axes = [span("x", "cm", 0, 10), span("y", "cm", -1, 2), span("z", "cm", 5, 6)][:dims]
    ranges = [
        span("energy", "J", -3.5, 2.0, transform="linear"),
        span("density", "g/cm3", -1.0, 1.0, transform="log"),
    ][:values]
    return {
        "axes": axes,
        "parameters": [span("time", "s", 0, 4), span("speed", "m/s", 10, 20)],
        "values": ranges,
        "grids": [
            {"axes": list(range(dims)), "shape": [5, 4, 6][:dims], "channels": 5, "offset": 0},
            {"axes": [dims - 1, 0], "shape": [7, 3], "channels": 3, "offset": 2},
        ],
        "lines": [
            {"parameter": 1, "vertices": 4, "features": 3, "offset": 5},
            {"parameter": 0, "vertices": 3, "features": 2, "offset": 8},
        ],
        "input": {"width": 10, "bias": True, "activation": "identity"},
        "layers": [
            {"inputs": 10, "outputs": 12, "activation": "tanh"},
            {"inputs": 12, "outputs": values, "activation": "sigmoid"},
        ],
    }


def content(values=1, dims=3, grid="<f4"):
    """A baked file."""
    spec = box(values, dims)
    return baked.write(spec, tensors_of(spec, grid))


def file(values=1, dims=3, grid="<f4"):
    """The name of a baked file."""
    path = Path(FOLDER.name) / f"{values}-{dims}-{grid.strip('<')}.drr.safetensors"
    if not path.exists():
        path.write_bytes(content(values, dims, grid))
    return path


PARAMETERS = (1.3, 17.0)


def points(count, dims=3, dtype=np.float64, seed=1):
    """Random points of the box, a few of them outside."""
    low, high = np.array([0, -1, 5.0])[:dims], np.array([10, 2, 6.0])[:dims]
    random = np.random.default_rng(seed).uniform(-0.05, 1.05, (count, dims))
    return (low + random * (high - low)).astype(dtype)
