"""Points and parameters of the caller as the ABI reads them, without copies wherever strides allow.

The ABI knows one distance from a point to the next, numpy one per axis. Axes of an array of points
are therefore walked in the order in which they lie in memory; only if even then the points do not
stand at equal distances, as in `grid[::2, ::2]`, is there a copy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from . import _abi
from ._arrays import SCALARS, NumpyArray, address, memory_order, numbers, step
from ._errors import ArgumentError


class Coordinates:
    """Points of the caller: `(..., dims)`, or a tuple of `dims` arrays of equal shapes.

    With `copies=False` points that would have to be copied are an ArgumentError.
    """

    def __init__(self, points: Any, dims: int, copies: bool = True) -> None:
        arrays = _separate(points, dims)
        first = arrays[0]
        self.given = arrays
        self.shape = first.shape
        self.dtype = first.dtype
        # Axes of `shape` in the order in which they are walked.
        self.order = memory_order(arrays)
        if first.ndim > 1:
            arrays = [array.transpose(self.order) for array in arrays]
        by_point = [step(array, 0, array.ndim) for array in arrays]
        if None in by_point:
            if not copies:
                raise ArgumentError(
                    "points on the GPU do not stand at equal distances, whatever the order of "
                    "axes: copy them to an array without gaps"
                )
            arrays = [np.array(array, order="C") for array in arrays]
            by_point = [first.itemsize] * dims
        self._read = arrays
        unused = [0] * (3 - dims)
        self.struct = _abi.Points(
            SCALARS[self.dtype],
            first.size,
            (*map(address, arrays), *unused),
            (*(distance or _abi.STRIDE_SAME for distance in by_point), *unused),
        )


def _separate(points: Any, dims: int) -> list[NumpyArray]:
    """One array per coordinate, of equal shapes and types."""
    if not isinstance(points, tuple):
        array = numbers(points, "points")
        if array.ndim == 0 or array.shape[-1] != dims:
            raise ArgumentError(
                f"points are of shape {array.shape}, expected (..., {dims}), or a tuple of {dims} "
                "arrays: one per coordinate"
            )
        return [array[..., axis] for axis in range(dims)]
    if len(points) != dims:
        raise ArgumentError(f"points are a tuple of {len(points)} arrays, expected {dims}")
    arrays = [numbers(given, f"points[{axis}]") for axis, given in enumerate(points)]
    shapes = [array.shape for array in arrays]
    if any(shape != shapes[0] for shape in shapes):
        raise ArgumentError(f"points are arrays of shapes {shapes}, expected equal ones")
    if any(array.dtype != arrays[0].dtype for array in arrays):
        types = ", ".join(str(array.dtype) for array in arrays)
        raise TypeError(f"points are arrays of types {types}, expected equal ones: convert some")
    return arrays


class ParameterRows:
    """Parameters of the caller, a row for each point or set: `(*shape, count)`.

    `copies` as for `Coordinates`.
    """

    def __init__(
        self,
        parameters: Any,
        count: int,
        order: Optional[Sequence[int]] = None,
        copies: bool = True,
    ) -> None:
        array = self.given = numbers(parameters, "parameters")
        if array.ndim == 0 or array.shape[-1] != count:
            raise ArgumentError(
                f"parameters are of shape {array.shape}, expected (..., {count}): a row of "
                f"{count} for each"
            )
        self.shape = array.shape[:-1]
        if order is not None and len(order) == array.ndim - 1:
            array = array.transpose(*order, array.ndim - 1)
        by_row = step(array, 0, array.ndim - 1)
        by_parameter = step(array, array.ndim - 1, array.ndim)
        # One row for all has a stride of its own, one number for all parameters has none.
        if by_row is None or by_parameter == 0:
            if not copies:
                raise ArgumentError(
                    "parameters on the GPU do not stand at equal distances: copy them to an array "
                    "without gaps"
                )
            array = np.array(array, order="C")
            by_row, by_parameter = count * array.itemsize, array.itemsize
        self._read = array
        self.struct = _abi.Parameters(
            SCALARS[array.dtype],
            math.prod(self.shape),
            address(array),
            by_row or _abi.STRIDE_SAME,
            by_parameter,
        )
