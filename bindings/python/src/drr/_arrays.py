"""From numpy arrays to the ABI's addresses and strides, without copies wherever strides allow.

The ABI knows one distance from a point to the next, numpy one per axis. Axes of an array of points
are therefore walked in the order in which they lie in memory; only if even then the points do not
stand at equal distances, as in `grid[::2, ::2]`, is there a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from . import _abi
from ._errors import ArgumentError, UnsupportedError

SCALARS = {np.dtype(np.float32): _abi.F32, np.dtype(np.float64): _abi.F64}
RESULT_SCALARS = {**SCALARS, np.dtype(np.float16): _abi.F16}

# Device types of DLPack whose memory the CPU reads: its own, and what was pinned for CUDA or ROCm.
_HOST_DEVICES = (1, 3, 11)
_ON_DEVICE = (
    "{name} lie in the memory of a device ({how}); this build of drr answers on the CPU: copy them "
    "to the host first"
)


def address(array: np.ndarray) -> int:
    """Where the first number is."""
    return array.__array_interface__["data"][0]


def view(given: Any, name: str) -> np.ndarray:
    """What was given as an array, without a copy if it is any kind of array on the CPU.

    Raises:
        UnsupportedError: it is in the memory of a device.
    """
    if isinstance(given, np.ndarray):
        return np.asarray(given)
    if hasattr(given, "__cuda_array_interface__"):
        raise UnsupportedError(_ON_DEVICE.format(name=name, how="__cuda_array_interface__"))
    if hasattr(given, "__dlpack_device__"):
        device = int(given.__dlpack_device__()[0])
        if device not in _HOST_DEVICES:
            how = f"DLPack device type {device}"
            raise UnsupportedError(_ON_DEVICE.format(name=name, how=how))
        if not hasattr(given, "__array__") and not hasattr(given, "__array_interface__"):
            return np.from_dlpack(given)
    if isinstance(given, (int, float)):
        return np.array(given, np.float64)
    if isinstance(given, list):
        if any(hasattr(item, "shape") for item in given):
            raise TypeError(
                f"{name} is a list of arrays: give separate arrays as a tuple, or one array by "
                "numpy.stack"
            )
        return np.array(given, np.float64)
    return np.asarray(given)


def numbers(given: Any, name: str) -> np.ndarray:
    """`view` of coordinates or parameters.

    Raises:
        TypeError: they are not float32 or float64 in this machine's byte order.
    """
    array = view(given, name)
    if array.dtype not in SCALARS:
        raise TypeError(_wrong_type(array.dtype, name, "float32 or float64"))
    return array


def _wrong_type(dtype: np.dtype, name: str, expected: str) -> str:
    if dtype.names:
        fields = ", ".join(f"array[{field!r}]" for field in dtype.names[:3])
        return f"{name} is an array of records: give its fields as a tuple, ({fields})"
    if not dtype.isnative:
        native = dtype.newbyteorder("=").name
        return (
            f"{name} is of type {dtype.str}, not in this machine's byte order: convert it, "
            f"array.astype('{native}')"
        )
    return (
        f"{name} is of type {dtype}, expected {expected}: convert it, for instance by "
        "array.astype('float32')"
    )


def result_type(dtype: Any, default: Optional[np.dtype]) -> Optional[np.dtype]:
    """The type of results that was asked for, else the default.

    Raises:
        TypeError: results cannot be of this type.
    """
    if dtype is None:
        return default
    dtype = np.dtype(dtype)
    if dtype not in RESULT_SCALARS:
        raise TypeError(_wrong_type(dtype, "dtype", "float32, float64 or float16"))
    return dtype


def step(array: np.ndarray, first: int, last: int) -> Optional[int]:
    """Bytes from one element to the next along axes `first` to below `last`, in C order.

    None if there is no such distance. Of one element, or none, any distance is right; that of the
    numbers is never 0, which the ABI understands in its own way.
    """
    count, distance = 1, array.itemsize
    for size, stride in zip(array.shape[first:last][::-1], array.strides[first:last][::-1]):
        if size == 0:
            return array.itemsize
        if size == 1:
            continue
        if count == 1:
            distance = stride
        elif stride != distance * count:
            return None
        count *= size
    return distance


def memory_order(array: np.ndarray) -> tuple[int, ...]:
    """Axes from the one with the largest steps in memory to that with the smallest."""
    strides = array.strides
    return tuple(sorted(range(array.ndim), key=lambda axis: -abs(strides[axis])))


class Coordinates:
    """Points of the caller: `(..., dims)`, or a tuple of `dims` arrays of equal shapes."""

    def __init__(self, points: Any, dims: int):
        arrays = _separate(points, dims)
        first = arrays[0]
        self.given = arrays
        self.shape = first.shape
        self.dtype = first.dtype
        # Axes of `shape` in the order in which they are walked.
        self.order = memory_order(first)
        if first.ndim > 1:
            arrays = [array.transpose(self.order) for array in arrays]
        steps = [step(array, 0, array.ndim) for array in arrays]
        # Steps of 0 for all axes, as of a point that was broadcast, mean something else in the ABI.
        if None in steps or (first.size > 1 and not any(steps)):
            arrays = [np.array(array, order="C") for array in arrays]
            steps = [first.itemsize] * dims
        self._read = arrays
        unused = [0] * (3 - dims)
        self.struct = _abi.Points(
            SCALARS[self.dtype],
            first.size,
            (*map(address, arrays), *unused),
            (*steps, *unused),
        )


def _separate(points: Any, dims: int) -> list[np.ndarray]:
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
    """Parameters of the caller, a row for each point or set: `(*shape, count)`."""

    def __init__(self, parameters: Any, count: int, order: Optional[Sequence[int]] = None):
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
        # Rows or numbers that were broadcast have strides of 0, which the ABI takes for "no gaps".
        if by_row is None or 0 in (by_row, array.strides[-1]):
            array = np.array(array, order="C")
            by_row = step(array, 0, array.ndim - 1)
        self._read = array
        self.struct = _abi.Parameters(
            SCALARS[array.dtype],
            int(np.prod(self.shape)),
            address(array),
            by_row,
            array.strides[-1],
        )


class Results:
    """Where results go: a new array, or the caller's `out`.

    Its axes are `shape`: `leading` of their own, then those of the points, then those of a point.
    """

    def __init__(
        self,
        out: Any,
        shape: tuple[int, ...],
        dtype: Optional[np.dtype],
        order: Sequence[int],
        leading: int = 0,
        inputs: Sequence[np.ndarray] = (),
    ):
        self.first, self.last = leading, leading + len(order)
        axes = (
            *range(leading),
            *(leading + axis for axis in order),
            *range(self.last, len(shape)),
        )
        if out is None:
            walked = self._walked = np.empty([shape[axis] for axis in axes], dtype)
            self._out = self._result = _back(walked, axes)
            self.step = step(walked, self.first, self.last)
            return
        self._out, self._result = out, _output(out, shape, dtype, inputs)
        self._walked = self._result.transpose(axes)
        self.step = step(self._walked, self.first, self.last)
        if self.step is None:
            # No single distance from point to point: through a copy.
            self._walked = np.empty(self._walked.shape, self._result.dtype)
            self.step = step(self._walked, self.first, self.last)
            self._spare = _back(self._walked, axes)

    _spare: Optional[np.ndarray] = None

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes along the axes of a point's results."""
        return self._walked.strides[self.last :]

    @property
    def set_stride(self) -> int:
        """Bytes along the leading axis; as for `step`, 0 is never meant."""
        return self._walked.strides[0] or self._walked.itemsize

    def values(self) -> _abi.Values:
        """The struct for values."""
        walked = self._walked
        by_value = self.strides[0] if self.strides else walked.itemsize
        return _abi.Values(RESULT_SCALARS[walked.dtype], address(walked), self.step, by_value)

    def gradients(self) -> Optional[_abi.Gradients]:
        """The struct for derivatives, whose last axis are coordinates or parameters, if any."""
        walked, strides = self._walked, self.strides
        if walked.size == 0:
            return None
        by_value = strides[-2] if len(strides) > 1 else walked.itemsize
        scalar = RESULT_SCALARS[walked.dtype]
        return _abi.Gradients(scalar, address(walked), self.step, by_value, strides[-1])

    def finish(self) -> Any:
        """The array to return, after the library wrote."""
        if self._spare is not None:
            self._result[...] = self._spare
        return self._out


def _back(walked: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """The array whose `transpose(axes)` is this one."""
    if axes == tuple(range(walked.ndim)):
        return walked
    return walked.transpose(np.argsort(axes))


def _output(
    out: Any, shape: tuple[int, ...], dtype: Optional[np.dtype], inputs: Sequence[np.ndarray]
) -> np.ndarray:
    """`out` as an array that can be written as results."""
    shares = ("__array_interface__", "__dlpack__")
    if not any(hasattr(out, name) for name in ("__cuda_array_interface__", *shares)):
        raise TypeError(f"out is a {type(out).__name__}, expected an array")
    array = view(out, "out")
    if array.dtype not in RESULT_SCALARS:
        raise TypeError(_wrong_type(array.dtype, "out", "float32, float64 or float16"))
    if dtype is not None and dtype != array.dtype:
        raise TypeError(f"dtype is {dtype}, but out is of type {array.dtype}: give one of them")
    if array.shape != shape:
        raise ArgumentError(f"out is of shape {array.shape}, expected {shape}")
    if not array.flags.writeable:
        # Numpy before 2.1 only reads what comes by DLPack.
        raise ArgumentError("out is read-only, or came by DLPack to a numpy that only reads that")
    if _overlaps_itself(array):
        raise ArgumentError("out has elements that share memory")
    for given in inputs:
        if np.may_share_memory(array, given) and np.shares_memory(array, given):
            raise ArgumentError("out shares memory with the points or parameters")
    return array


def _overlaps_itself(array: np.ndarray) -> bool:
    if array.size < 2 or array.flags.forc:
        return False
    extent = array.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n > 1):
        if stride < extent:
            return True
        extent += stride * (size - 1)
    return False
