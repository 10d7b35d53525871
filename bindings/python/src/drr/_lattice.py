"""Regular lattices: from ranges of coordinates, or coordinates, to origins and spacings."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import numpy as np

from . import _abi
from ._arrays import NumpyArray
from ._description import Description
from ._errors import ArgumentError

Range = Union[float, tuple[float, float], None]
Ranges = Union[Sequence[Range], Mapping[str, Range], None]


class Lattice:
    """A lattice in the domain of a model; see `Sampler.lattice` for the arguments."""

    def __init__(
        self,
        description: Description,
        units: str,
        dims: Any,
        ranges: Ranges,
        origin: Optional[Sequence[float]],
        spacing: Optional[Sequence[float]],
    ) -> None:
        self._names = [axis.name for axis in description.axes]
        count = len(self._names)
        self.dims = tuple(map(operator.index, self._per_axis(dims, "dims")))
        if any(not 0 <= size < 2**63 for size in self.dims):
            raise ArgumentError(f"dims is {self.dims}, expected numbers of points")
        if (origin is None) != (spacing is None) or (origin is not None and ranges is not None):
            raise ArgumentError("give either ranges, or both origin and spacing, or none of them")
        if origin is not None:
            self.origin = tuple(map(float, self._per_axis(origin, "origin")))
            self.spacing = tuple(map(float, self._per_axis(spacing, "spacing")))
            return
        whole = [(axis.min, axis.max) for axis in description.axes]
        if units == "normalized":
            whole = [(-1.0, 1.0)] * count
        lines = [
            _line(size, given, domain, name)
            for size, given, domain, name in zip(
                self.dims, self._by_axis(ranges), whole, self._names
            )
        ]
        self.origin, self.spacing = (tuple(numbers) for numbers in zip(*lines))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an array of one number per point, x last."""
        return self.dims[::-1]

    def _per_axis(self, given: Any, name: str) -> tuple[Any, ...]:
        numbers = tuple(given) if np.ndim(given) == 1 else None
        if numbers is None or len(numbers) != len(self._names):
            axes = ", ".join(self._names)
            raise ArgumentError(f"{name} is {given}, expected one number per axis ({axes})")
        return numbers

    def _by_axis(self, ranges: Ranges) -> list[Range]:
        if ranges is None:
            return [None] * len(self._names)
        if isinstance(ranges, Mapping):
            unknown = [name for name in ranges if name not in self._names]
            if unknown:
                axes = ", ".join(self._names)
                raise ArgumentError(f"no axis is named {unknown[0]!r}; the model's axes: {axes}")
            return [ranges.get(name) for name in self._names]
        if len(ranges) != len(self._names):
            raise ArgumentError(f"{len(ranges)} ranges, expected {len(self._names)}: one per axis")
        return list(ranges)

    def struct(self) -> _abi.Lattice:
        """The struct of the ABI."""
        unused = 3 - len(self.dims)
        return _abi.Lattice(
            0,
            (*self.dims, *[1] * unused),
            (*self.origin, *[0.0] * unused),
            (*self.spacing, *[0.0] * unused),
        )

    def coords(self) -> dict[str, NumpyArray]:
        """Coordinates along each axis, the last axis first."""
        lines = [
            (name, origin + spacing * np.arange(size))
            for name, size, origin, spacing in zip(
                self._names, self.dims, self.origin, self.spacing
            )
        ]
        return dict(reversed(lines))


def regular(coordinates: Any, name: str) -> tuple[float, float]:
    """The first of coordinates along an axis, and their distance.

    Raises:
        ArgumentError: they are not at equal distances, but for the rounding of their type.
    """
    given = np.atleast_1d(np.asarray(coordinates))
    if given.dtype.kind not in "iuf":
        raise ArgumentError(f"{name} is of type {given.dtype}, expected coordinates")
    line = given.astype(np.float64)
    if line.size == 0:
        return 0.0, 0.0
    origin, count = float(line[0]), line.size
    spacing = float(line[-1] - line[0]) / (count - 1) if count > 1 else 0.0
    rounding = np.finfo(given.dtype if given.dtype.kind == "f" else np.float64).eps
    allowed = 4 * float(rounding) * float(np.abs(line).max()) + 1e-9 * abs(spacing)
    if not np.abs(origin + spacing * np.arange(count) - line).max() <= allowed:
        between = np.diff(line)
        raise ArgumentError(
            f"{name} is no regular axis: its coordinates are {between.min():g} to "
            f"{between.max():g} apart; ask for its points one by one"
        )
    return origin, spacing


def _line(size: int, given: Any, domain: tuple[float, float], name: str) -> tuple[float, float]:
    """Origin and spacing of one axis."""
    if given is not None and np.ndim(given) == 0:
        if size != 1:
            raise ArgumentError(
                f"{name} is one number, but has {size} points: give two, (first, last)"
            )
        return float(given), 0.0
    if given is not None and np.shape(given) != (2,):
        raise ArgumentError(f"the range of {name} is {given}, expected (first, last) or a number")
    first, last = domain if given is None else map(float, given)
    if size == 1 and first != last:
        raise ArgumentError(f"{name} has one point, but a range: give its coordinate as a number")
    return first, (last - first) / (size - 1) if size > 1 else 0.0
