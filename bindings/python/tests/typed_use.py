"""How the package is used, for mypy to check (test_types.py); the marked lines must be errors."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray
from typing_extensions import assert_type

import drr

Array = NDArray[Any]


class Dlpack:
    def __dlpack__(self, *, stream: None = None) -> Any:
        raise BufferError

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def use(path: Path, points: NDArray[np.float32], out: NDArray[np.float64], tensor: Dlpack) -> None:
    with drr.open(path, storage="copied", threads=2) as model:
        assert_type(model, drr.Model)
        assert_type(model.axes[0].min, float)
        assert_type(model.values[0].transform, str)
        assert_type(model.path, "str | None")
        assert_type(model.memory.total, int)
    drr.open_memory(path.read_bytes()).close()
    drr.log_to(logging.getLogger())
    with model.at({"time": 1.3}, outside="nan") as sampler:
        assert_type(sampler, drr.Sampler)
    model.at([1.3, 2]), model.at(np.zeros(2)), model.at(tensor), model.at()
    x, y, z = points.T
    assert_type(sampler(points), Array)
    assert_type(sampler((x, y, z), dtype=np.float16), Array)
    assert_type(sampler([[1.0, 2.0, 3.0]]), Array)
    assert_type(sampler(tensor), Array)
    assert_type(sampler(points, out=out), NDArray[np.float64])
    assert_type(sampler(points, out=tensor), Dlpack)
    assert_type(sampler(points, (out, out)), tuple[NDArray[np.float64], NDArray[np.float64]])
    assert_type(sampler.lattice((4, 5, 6), {"x": (1, 2), "z": 5.5}), Array)
    assert_type(sampler.lattice((4, 5, 6), [(1.0, 2.0), None, 5.5], out=out), NDArray[np.float64])
    assert_type(sampler.lattice_coords((4, 5, 6))["x"], Array)
    assert_type(sampler.gradient(points), drr.Gradient)
    sampler.lattice_gradient((4, 5, 6), position=((x, y, z), (x, y, z)), values=out)
    assert_type(model.query(points, points), Array)
    assert_type(model.query_sets(points, points, out=out), NDArray[np.float64])
    assert_type(sampler.to_xarray((4, 5, 6)), xarray.Dataset)
    sampler.to_xarray(like=sampler.to_xarray((4, 5, 6))["energy"])
    try:
        drr.open("nowhere")
    except drr.FileError as error:
        assert_type(error.status, int)
        assert_type(error.errno, "int | None")

    sampler(None)  # type: ignore[call-overload]
    sampler(points, out=object())  # type: ignore[call-overload]
    sampler.gradient(points, position=3j + object())  # type: ignore[operator]
    model.at({"time": "1.3"})  # type: ignore[dict-item]
    drr.open(path, threads="2")  # type: ignore[arg-type]
    sampler.to_xarray(like=points)  # type: ignore[arg-type]
    model.axes[0].min = 3  # type: ignore[misc]
