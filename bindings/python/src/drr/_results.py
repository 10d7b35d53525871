"""Where the library writes: new arrays, or the caller's of any strides.

Results of points have one distance from a point to the next in the ABI, those of a lattice one per
axis. An array that has no such distance, or separate arrays of different ones, are written through
a copy.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from ctypes import byref, c_void_p
from typing import Any, NamedTuple, Optional

import numpy as np

from . import _abi
from ._arrays import RESULT_SCALARS, DType, NumpyArray, address, step, steps, view, wrong_type
from ._errors import ArgumentError


class Rows(NamedTuple):
    """The points that results belong to, as the axes of an array."""

    shape: tuple[int, ...]
    # The order in which axes are walked.
    order: Sequence[int]
    # Whether the ABI takes a distance per axis.
    lattice: bool = False
    # Axes of sets, which come first.
    sets: tuple[int, ...] = ()


class _Steps(NamedTuple):
    """Bytes from one set to the next, and from point to point: along x, y and z of a lattice."""

    by_set: int
    by_point: int
    by_row: int = 0
    by_plane: int = 0


def result_type(dtype: DType, default: Optional[np.dtype[Any]]) -> Optional[np.dtype[Any]]:
    """The type of results that was asked for, else the default.

    Raises:
        TypeError: results cannot be of this type.
    """
    if dtype is None:
        return default
    dtype = np.dtype(dtype)
    if dtype not in RESULT_SCALARS:
        raise wrong_type(dtype, "dtype", "float32, float64 or float16")
    return dtype


class Results:
    """Numbers of a shape `tail` for each point: a new array, or what the caller gave.

    That is an array `(*sets, *shape, *tail)`, or a tuple of arrays without the first axis of
    `tail`, which may be tuples again. A tail of no axes is also a tuple of one array. With
    `copies=False` arrays that would have to be written through a copy are an ArgumentError.
    """

    def __init__(
        self,
        given: Any,
        rows: Rows,
        tail: tuple[int, ...],
        dtype: Optional[np.dtype[Any]],
        name: str = "out",
        copies: bool = True,
    ) -> None:
        self._rows, self._tail = rows, tail
        self._spare: Optional[NumpyArray] = None
        self.parts: list[NumpyArray] = []
        if given is None:
            given = self._new(tail, dtype)
            self.parts = [given]
        elif isinstance(given, tuple):
            self.parts = list(self._split(given, tail or (1,), dtype, name))
        else:
            self.parts = [self._output(given, tail, dtype, name)]
        self._given = given
        self._separate = isinstance(given, tuple)
        self._written = self.parts
        types = {part.dtype for part in self.parts}
        if len(types) > 1:
            raise TypeError(f"{name} has arrays of types {types}, expected equal ones")
        found = {self._steps(part) for part in self.parts}
        same = found.pop() if len(found) == 1 else None
        if same is None and self.parts:
            if not copies:
                raise ArgumentError(
                    f"{name} on the GPU has steps that the library cannot write by: give an array "
                    "without gaps"
                )
            self._spare = self._new(tail, self.parts[0].dtype)
            self._written, self._separate = [self._spare], False
            same = self._steps(self._spare)
        self._by = same or _Steps(0, 0)

    def _split(
        self, given: Any, tail: tuple[int, ...], dtype: Optional[np.dtype[Any]], name: str
    ) -> Iterator[NumpyArray]:
        """An array `(*sets, *shape)` for each number of a point."""
        if not isinstance(given, tuple):
            array = self._output(given, tail, dtype, name)
            for index in np.ndindex(*tail):
                yield array[(..., *index)]
            return
        if not tail or len(given) != tail[0]:
            expected = f"{tail[0]}: one for each" if tail else "an array"
            raise ArgumentError(f"{name} is a tuple of {len(given)}, expected {expected}")
        for k, item in enumerate(given):
            yield from self._split(item, tail[1:], dtype, f"{name}[{k}]")

    def _shape(self, tail: tuple[int, ...]) -> tuple[int, ...]:
        return (*self._rows.sets, *self._rows.shape, *tail)

    def _walk(self, ndim: int) -> tuple[int, ...]:
        first = len(self._rows.sets)
        walked = [first + axis for axis in self._rows.order]
        return (*range(first), *walked, *range(first + len(walked), ndim))

    def _new(self, tail: tuple[int, ...], dtype: Optional[np.dtype[Any]]) -> NumpyArray:
        """An array that lies in memory as it is walked."""
        shape = self._shape(tail)
        axes = self._walk(len(shape))
        array: NumpyArray = np.empty([shape[axis] for axis in axes], dtype)
        return array.transpose(np.argsort(axes)) if axes != tuple(range(len(axes))) else array

    def _steps(self, part: NumpyArray) -> Optional[_Steps]:
        """What the ABI has for the strides of an array; None if it has nothing."""
        first, last = len(self._rows.sets), len(self._rows.sets) + len(self._rows.shape)
        by_set = steps(part)[0] if first else 0
        by_point = step(part.transpose(self._walk(part.ndim)), first, last)
        if by_point is not None:
            return _Steps(by_set, by_point)
        if self._rows.lattice:
            return _Steps(by_set, *reversed(steps(part)[first:last]))
        return None

    def _output(
        self, out: Any, tail: tuple[int, ...], dtype: Optional[np.dtype[Any]], name: str
    ) -> NumpyArray:
        """An array of the caller that can be written."""
        shares = ("__array_interface__", "__dlpack__", "__cuda_array_interface__")
        if not any(hasattr(out, attribute) for attribute in shares):
            raise TypeError(f"{name} is a {type(out).__name__}, expected an array")
        array, shape = view(out, name), self._shape(tail)
        if array.dtype not in RESULT_SCALARS:
            raise wrong_type(array.dtype, name, "float32, float64 or float16")
        if dtype is not None and dtype != array.dtype:
            raise TypeError(
                f"dtype is {dtype}, but {name} is of type {array.dtype}: give one of them"
            )
        if array.shape != shape:
            raise ArgumentError(f"{name} is of shape {array.shape}, expected {shape}")
        if not array.flags.writeable:
            raise ArgumentError(
                f"{name} is read-only, or came by DLPack to a numpy before 2.1, which only reads it"
            )
        if _overlaps_itself(array):
            raise ArgumentError(f"{name} has elements that share memory")
        return array

    @property
    def set_stride(self) -> int:
        """Bytes from one set to the next."""
        return self._by.by_set

    def values(self) -> _abi.Values:
        """The struct for values."""
        scalar, where, separate = self._places()
        inner = () if separate else self._inner(1)
        return _abi.Values(scalar, where, self._by.by_point, *(inner or (0,)), *self._outer())

    def gradients(self) -> Optional[_abi.Gradients]:
        """The struct for derivatives, whose last axis are coordinates or parameters, if any."""
        if 0 in self._tail:
            return None
        scalar, where, separate = self._places()
        inner = () if separate else self._inner(2)
        return _abi.Gradients(scalar, where, self._by.by_point, *(inner or (0, 0)), *self._outer())

    def _places(self) -> tuple[int, Optional[int], bool]:
        first = self._written[0]
        where = None if self._separate else address(first)
        return RESULT_SCALARS[first.dtype], where, self._separate

    def _inner(self, count: int) -> tuple[int, ...]:
        """Bytes along the axes of a point; the first is not there for a model of one value."""
        array = self._written[0]
        found = steps(array)[array.ndim - len(self._tail) :]
        return (*[array.itemsize] * (count - len(found)), *found)

    def _outer(self) -> tuple[int, int, Any]:
        separate = None
        if self._separate:
            separate = (c_void_p * len(self._written))(*map(address, self._written))
        return self._by.by_row, self._by.by_plane, separate

    def finish(self) -> Any:
        """What to return, after the library wrote."""
        if self._spare is not None and len(self.parts) == 1:
            self.parts[0][...] = self._spare.reshape(self.parts[0].shape)
        elif self._spare is not None:
            for part, index in zip(self.parts, np.ndindex(*self._tail)):
                part[...] = self._spare[(..., *index)]
        return self._given


def with_gradients(found: Sequence[Optional[Results]]) -> Iterator[Any]:
    """Values, derivatives by position and by parameters, as a query for them takes them."""
    values, position, parameters = found
    structs = (
        values and values.values(),
        position and position.gradients(),
        parameters and parameters.gradients(),
    )
    yield from (struct and byref(struct) for struct in structs)


def refuse_overlaps(
    results: Iterable[Optional[Results]], inputs: Sequence[NumpyArray] = ()
) -> None:
    """The library must not write what it reads, nor anything twice.

    Raises:
        ArgumentError: it would.
    """
    parts = [part for result in results if result for part in result.parts]
    if any(_overlap(part, given) for part in parts for given in inputs):
        raise ArgumentError("out shares memory with the points or parameters")
    if any(_overlap(one, other) for one, other in itertools.combinations(parts, 2)):
        raise ArgumentError("arrays for results share memory with one another")


def _overlap(one: NumpyArray, other: NumpyArray) -> bool:
    return np.may_share_memory(one, other) and np.shares_memory(one, other)


def _overlaps_itself(array: NumpyArray) -> bool:
    if array.size < 2 or array.flags.forc:
        return False
    extent = array.itemsize
    for stride, size in sorted((abs(s), n) for s, n in zip(array.strides, array.shape) if n > 1):
        if stride < extent:
            return True
        extent += stride * (size - 1)
    return False
