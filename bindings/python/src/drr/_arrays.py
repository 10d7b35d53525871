"""Whatever is an array on the CPU as numpy sees it: its address, type and steps; nothing of points.

Nothing is copied but lists of numbers.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable, Optional, Protocol, Union

import numpy as np
import numpy.typing as npt

from . import _abi
from ._errors import UnsupportedError

NumpyArray = npt.NDArray[Any]
DType = Optional[npt.DTypeLike]


class SupportsDLPack(Protocol):
    """An array of any library that exchanges them by DLPack."""

    @property
    def __dlpack__(self) -> Callable[..., Any]: ...

    @property
    def __dlpack_device__(self) -> Callable[[], tuple[Any, Any]]: ...


if TYPE_CHECKING:
    Array = Union[npt.ArrayLike, SupportsDLPack]
    # An array `(..., dims)`, or one per coordinate.
    Points = Union[Array, tuple[Array, ...]]
    # Where results go: an array, or one per value, nested for derivatives.
    Out = Union[Array, tuple["Out", ...]]
else:
    Array = Points = Out = Any

SCALARS: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): _abi.F32,
    np.dtype(np.float64): _abi.F64,
}
RESULT_SCALARS: dict[np.dtype[Any], int] = {**SCALARS, np.dtype(np.float16): _abi.F16}

# Device types of DLPack whose memory the CPU reads: its own, and what was pinned for CUDA or ROCm.
_HOST_DEVICES = (1, 3, 11)
_DEVICES = {2: "CUDA", 8: "Metal", 10: "ROCm", 13: "CUDA managed", 14: "oneAPI"}


def address(array: NumpyArray) -> int:
    """Where the first number is."""
    where: int = array.__array_interface__["data"][0]
    return where


_memory: Callable[[Any], Any] = (ctypes.c_char * 0).from_buffer


def pointer(array: NumpyArray) -> Any:
    """`address` of an array without gaps as ctypes passes it: numpy takes long to tell a number."""
    return _memory(array) if array.flags.writeable else address(array)


def view(given: Any, name: str) -> NumpyArray:
    """What was given as an array, without a copy if it is any kind of array on the CPU.

    Raises:
        UnsupportedError: it is in the memory of a device.
        TypeError: its library has no way to show it to numpy.
    """
    if isinstance(given, np.ndarray):
        return np.asarray(given)
    if hasattr(given, "__cuda_array_interface__"):
        raise _on_device(name, "__cuda_array_interface__")
    if hasattr(given, "__dlpack_device__"):
        device = int(given.__dlpack_device__()[0])
        if device not in _HOST_DEVICES:
            kind = _DEVICES.get(device, "another device")
            raise _on_device(name, f"DLPack device type {device}, {kind}")
        # First, because what `__array__` gives may be a copy.
        if not hasattr(given, "__array_interface__"):
            return _from_dlpack(given, name)
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


def _from_dlpack(given: Any, name: str) -> NumpyArray:
    try:
        return np.from_dlpack(given)
    except (BufferError, RuntimeError) as error:
        raise TypeError(f"{name} cannot be read by DLPack: {error}") from error


def _on_device(name: str, how: str) -> UnsupportedError:
    return UnsupportedError(
        f"{name} lie in the memory of a device ({how}), which this call cannot read: ask a sampler "
        "there (Model.to_device), or copy them to the host, "
        "for instance by .cpu() of PyTorch, .get() of CuPy"
    )


def numbers(given: Any, name: str) -> NumpyArray:
    """`view` of coordinates or parameters.

    Raises:
        TypeError: they are not float32 or float64 in this machine's byte order.
    """
    array = view(given, name)
    if array.dtype not in SCALARS:
        raise wrong_type(array.dtype, name, "float32 or float64")
    return array


def wrong_type(dtype: np.dtype[Any], name: str, expected: str) -> TypeError:
    """The error for an array of another type."""
    if dtype.names:
        fields = ", ".join(f"array[{field!r}]" for field in dtype.names[:3])
        return TypeError(f"{name} is an array of records: give its fields as a tuple, ({fields})")
    if not dtype.isnative:
        native = dtype.newbyteorder("=").name
        return TypeError(
            f"{name} is of type {dtype.str}, not in this machine's byte order: convert it, "
            f"array.astype('{native}')"
        )
    return TypeError(
        f"{name} is of type {dtype}, expected {expected}: convert it, for instance by "
        "array.astype('float32')"
    )


def step(array: NumpyArray, first: int, last: int) -> Optional[int]:
    """Bytes from one element to the next along axes `first` to below `last`, in C order.

    None if there is no such distance. Of one element, or none, any distance is right: that of the
    numbers. It is 0 only if the elements are one that was broadcast.
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


def steps(array: NumpyArray) -> tuple[int, ...]:
    """Bytes along each axis; where any is right, along axes of one element, that of the numbers."""
    return tuple(
        stride if size > 1 and array.size > 0 else array.itemsize
        for size, stride in zip(array.shape, array.strides)
    )


def memory_order(arrays: Sequence[NumpyArray]) -> tuple[int, ...]:
    """Axes from the one with the largest steps in memory to that with the smallest."""
    reach = [sum(map(abs, strides)) for strides in zip(*(array.strides for array in arrays))]
    return tuple(sorted(range(len(reach)), key=lambda axis: -reach[axis]))
