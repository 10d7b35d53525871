"""Arrays in the memory of a GPU, seen as numpy arrays whose memory is never touched: only their
shape, steps and address count."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int32, c_int64, c_uint8, c_uint16, c_uint64, c_void_p
from typing import Any, Optional

import numpy as np

from ._arrays import NumpyArray
from ._errors import ArgumentError

# Device types of DLPack whose memory CUDA reads, and its code of floating-point numbers.
_CUDA_DEVICES = (2, 13)
_FLOAT = 2


def seen(given: Any, name: str, stream: Any = None) -> Any:
    """Arrays of a GPU as numpy sees them, whose memory must not be touched; others as they are.

    Arrays of DLPack alone make their work of other streams come before that of `stream`.

    Raises:
        ArgumentError: some of a tuple are on the GPU and others are not, an array is masked.
        TypeError: numbers of another type.
    """
    if isinstance(given, tuple):
        arrays = tuple(seen(item, f"{name}[{n}]", stream) for n, item in enumerate(given))
        are_there = {one is not other for one, other in zip(arrays, given)}
        if len(are_there) > 1:
            raise ArgumentError(f"{name} are partly on the GPU and partly not")
        return arrays if are_there == {True} else given
    if hasattr(given, "__cuda_array_interface__"):
        if given.__cuda_array_interface__.get("mask") is not None:
            raise ArgumentError(f"{name} has a mask, which is not supported")
        interface = given.__cuda_array_interface__
        words = {key: interface[key] for key in ("shape", "typestr", "data")}
        return _as_numpy(given, strides=interface.get("strides"), **words)
    if hasattr(given, "__dlpack_device__") and given.__dlpack_device__()[0] in _CUDA_DEVICES:
        return _by_dlpack(given, name, stream)
    return given


def there(given: Any, name: str, stream: Any = None) -> Any:
    """`seen` of what has to be on the GPU.

    Raises:
        ArgumentError: it is not.
    """
    array = seen(given, name, stream)
    if array is given:
        where = "missing" if given is None else "in memory of the host"
        raise ArgumentError(f"{name} is {where}: give an array on the GPU, as the others are")
    return array


def stream_of(stream: Any, given: Any = None) -> Optional[int]:
    """The number of a stream; that of an array if none is given."""
    if stream is None:
        first = given[0] if isinstance(given, tuple) else given
        stream = getattr(first, "__cuda_array_interface__", {}).get("stream")
    elif hasattr(stream, "__cuda_stream__"):
        stream = stream.__cuda_stream__()[1]
    if stream is not None and not isinstance(stream, int):
        raise TypeError(
            f"stream is a {type(stream).__name__}, expected its number (of CuPy: stream.ptr, of "
            "PyTorch: stream.cuda_stream), or an object with __cuda_stream__"
        )
    return stream


class _OnGpu:
    """An array of a GPU in the words of numpy's array interface."""

    def __init__(self, given: Any, interface: dict[str, Any]) -> None:
        self.given = given
        self.__array_interface__ = {"version": 3, **interface}


def _as_numpy(given: Any, **interface: Any) -> NumpyArray:
    array: NumpyArray = np.asarray(_OnGpu(given, interface))
    return array


class _Tensor(ctypes.Structure):
    """`DLTensor` of DLPack 0.8 and later, with which a `DLManagedTensor` begins."""

    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype = c_void_p
_pointer_of.argtypes = [ctypes.py_object, c_char_p]


def _by_dlpack(given: Any, name: str, stream: Any) -> NumpyArray:
    # 1 is the default stream; 0 would be ambiguous.
    capsule = given.__dlpack__(stream=stream_of(stream) or 1)
    # The capsule is not consumed, so that it gives back what it holds when it goes; the memory
    # stays the caller's.
    tensor = _Tensor.from_address(_pointer_of(capsule, b"dltensor"))
    if tensor.code != _FLOAT or tensor.lanes != 1:
        raise TypeError(
            f"{name} holds DLPack numbers of code {tensor.code}, {tensor.bits} bits, {tensor.lanes} "
            "lanes; expected floating-point numbers"
        )
    size = tensor.bits // 8
    strides = None
    if tensor.strides:
        strides = tuple(size * tensor.strides[n] for n in range(tensor.ndim))
    return _as_numpy(
        given,
        shape=tuple(tensor.shape[n] for n in range(tensor.ndim)),
        typestr=np.dtype(f"f{size}").str,
        data=((tensor.data or 0) + tensor.byte_offset, False),
        strides=strides,
    )
