"""A writer and a reader of baked files after docs/format.md, independent of the library.

Layers are f32; everything is evaluated in float64.
"""

import json
import struct
import zlib

import numpy as np

DTYPES = {"F32": "<f4", "F16": "<f2", "I8": "i1"}
NAMES = {np.dtype(code): name for name, code in DTYPES.items()}

ACTIVATIONS = {
    "identity": lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sine": np.sin,
}


def write(spec, tensors):
    """The bytes of a baked file; tensors by name, grids without the padding of their rows."""
    spec = json.dumps(spec)
    metadata = {
        "format": "drr-baked",
        "version": "1",
        "spec": spec,
        "crc32.spec": crc(spec.encode()),
    }
    header, data = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        if name.startswith("grid") and tensor.ndim > 1:
            tensor = padded(tensor)
        content = tensor.tobytes()
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": tensor.shape,
            "data_offsets": [len(data), len(data) + len(content)],
        }
        metadata[f"crc32.{name}"] = crc(content)
        data += content
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 256)
    return struct.pack("<Q", len(text)) + text + data


def crc(content):
    return f"{zlib.crc32(content):08x}"


def padded(grid):
    """Rows of a multiple of 16 bytes."""
    row = 16 // grid.itemsize
    fill = -grid.shape[-1] % row
    return np.pad(grid, [(0, 0)] * (grid.ndim - 1) + [(0, fill)])


def read(content):
    """The description and the tensors."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    metadata, data = header.pop("__metadata__"), content[8 + length :]
    tensors = {}
    for name, entry in header.items():
        first, end = entry["data_offsets"]
        assert metadata[f"crc32.{name}"] == crc(data[first:end])
        numbers = np.frombuffer(data[first:end], DTYPES[entry["dtype"]])
        tensors[name] = numbers.reshape(entry["shape"])
    assert metadata["crc32.spec"] == crc(metadata["spec"].encode())
    return json.loads(metadata["spec"]), tensors


class Reference:
    """The model of a baked file, in float64."""

    def __init__(self, content):
        self.spec, self.tensors = read(content)

    def __call__(self, points, parameters):
        """Values `(n, outputs)` at points `(n, dims)`, with clamping; NaN gives NaN."""
        spec, points = self.spec, np.asarray(points, np.float64)
        vector = np.zeros((len(points), spec["input"]["width"]))
        if spec["input"]["bias"]:
            vector += self.tensors["input.bias"].astype(np.float64)
        unit = [
            np.clip((points[:, k] - axis["min"]) / (axis["max"] - axis["min"]), 0, 1)
            for k, axis in enumerate(spec["axes"])
        ]
        for n, grid in enumerate(spec["grids"]):
            # The first of `axes` moves along the last of `shape`.
            along = [unit[axis] for axis in reversed(grid["axes"])]
            add(vector, grid["offset"], interpolate(self.grid(n, grid), along))
        for n, line in enumerate(spec["lines"]):
            k = line["parameter"]
            low, high = spec["parameters"][k]["min"], spec["parameters"][k]["max"]
            t = np.clip((parameters[k] - low) / (high - low), 0, 1)
            features = self.tensors[f"line.{n}"].astype(np.float64)
            add(vector, line["offset"], interpolate(features, [np.full(len(points), t)]))
        vector = ACTIVATIONS[spec["input"]["activation"]](vector)
        for n, layer in enumerate(spec["layers"]):
            weight, bias = (self.tensors[f"layer.{n}.{what}"] for what in ("weight", "bias"))
            vector = vector @ weight.astype(np.float64).T + bias
            vector = ACTIVATIONS[layer["activation"]](vector)
        for k, value in enumerate(spec["values"]):
            vector[:, k] = vector[:, k] * (value["max"] - value["min"]) + value["min"]
            if value["transform"] == "log":
                vector[:, k] = np.exp(vector[:, k])
        return vector

    def grid(self, n, grid):
        features = self.tensors[f"grid.{n}"][..., : grid["channels"]].astype(np.float64)
        if f"grid.{n}.scale" in self.tensors:
            features = features * self.tensors[f"grid.{n}.scale"] + self.tensors[f"grid.{n}.zero"]
        return features


def add(vector, offset, features):
    vector[:, offset : offset + features.shape[1]] += features


def interpolate(vertices, unit):
    """Features `(n, channels)` of `vertices`; `unit` are positions in [0, 1], one per dimension."""
    total = 0.0
    for corner in np.ndindex(*(2,) * len(unit)):
        index, weight = [], 1.0
        for size, t, upper in zip(vertices.shape, unit, corner):
            position = np.where(np.isnan(t), 0, t) * (size - 1) + 0 * t
            below = np.clip(np.nan_to_num(np.floor(position)), 0, max(size - 2, 0)).astype(int)
            index.append(np.minimum(below + upper, size - 1))
            fraction = position - below
            weight = weight * (fraction if upper else 1 - fraction)
        total = total + weight[:, None] * vertices[tuple(index)]
    return total
