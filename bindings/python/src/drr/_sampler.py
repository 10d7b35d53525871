"""A model bound to one set of parameters: values, derivatives, lattices."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, NamedTuple, Optional, TypeVar, Union, overload

import numpy as np

from ._arrays import DType, NumpyArray, Out, Points, pointer
from ._description import Description
from ._errors import ArgumentError
from ._handle import Handle
from ._inputs import Coordinates
from ._lattice import Lattice, Ranges
from ._library import check, library
from ._radiance import RadianceSampler
from ._results import Results, Rows, refuse_overlaps, result_type, with_gradients

if TYPE_CHECKING:
    import xarray

Given = TypeVar("Given", bound=Out)
# True for a new array, False for none, or where they go.
Wanted = Union[bool, Out]

_PACKED = {
    np.dtype(np.float32): library.drr_sampler_query_f32,
    np.dtype(np.float64): library.drr_sampler_query_f64,
}


class Gradient(NamedTuple):
    """Values and derivatives, arrays or what was given for them; None if not asked for."""

    values: Any
    position: Any
    parameters: Any


class Sampler(RadianceSampler):
    """A model bound to one set of parameters, made by `Model.at`; a context manager.

    Immutable: any number of threads may query it at the same time, and calls release the
    interpreter's lock. Keeps what it needs of its model.
    """

    def __init__(
        self,
        pointer: ctypes.c_void_p,
        description: Description,
        parameters: tuple[float, ...],
        units: str,
        outside: str,
        outside_parameters: str,
    ) -> None:
        self._handle = Handle(pointer, library.drr_sampler_free)
        self._description = description
        # What every query needs.
        self._axes, self._tail = len(description.axes), description.tail()
        self._parameters = parameters
        self._units = units
        self._outside = (outside, outside_parameters)

    @property
    def description(self) -> Description:
        """What the model is."""
        return self._description

    @property
    def parameters(self) -> Mapping[str, float]:
        """The parameters by name, as they were given."""
        names = (parameter.name for parameter in self._description.parameters)
        return dict(zip(names, self._parameters))

    @property
    def units(self) -> str:
        """`physical` or `normalized`."""
        return self._units

    @property
    def outside(self) -> str:
        """What points outside the domain give."""
        return self._outside[0]

    @property
    def outside_parameters(self) -> str:
        """What parameters outside their ranges give."""
        return self._outside[1]

    @overload
    def query(self, points: Points, out: None = None, dtype: DType = ...) -> NumpyArray: ...

    @overload
    def query(self, points: Points, out: Given, dtype: DType = ...) -> Given: ...

    def query(self, points: Points, out: Optional[Out] = None, dtype: DType = None) -> Any:
        """Values at points; `sampler(points)` is the same.

        Args:
            points: float32 or float64 `(..., dims)`, x first, of any strides; or a tuple of `dims`
                arrays of equal shapes `(...)`, one per coordinate; in the sampler's units. Any
                array on the CPU is taken as it is (array interface, DLPack); lists of numbers are
                converted to float64. A point with a NaN gives NaN.
            out: float32, float64 or float16 array of the result's shape, of any strides, to be
                written and returned; shares no memory with the points. Or a tuple of arrays, one
                per value, of equal types.
            dtype: type of a new result; that of the points if not given.

        Returns:
            `(..., outputs)`: `points.shape[:-1]` (or the shape of a coordinate's array) and an
            axis of the model's values. Models of one value have no such axis: `(...)`.

        Raises:
            ArgumentError: shapes do not fit, `out` cannot be written, the sampler was closed.
            TypeError: an array is of another type or byte order.
            OutsideDomainError: a point is outside, and `outside` is `"error"`; nothing is written.
            UnsupportedError: an array is in the memory of a device.
        """
        if dtype is None and type(points) is np.ndarray:
            packed = self._query_packed(points, out)
            if packed is not None:
                return packed
        where = Coordinates(points, self._axes)
        kind = result_type(dtype, where.dtype if out is None else None)
        results = Results(out, Rows(where.shape, where.order), self._tail, kind)
        refuse_overlaps([results], where.given)
        struct, handle = results.values(), self._live()
        check(
            library.drr_sampler_query(
                handle.pointer, ctypes.byref(where.struct), ctypes.byref(struct)
            )
        )
        return results.finish()

    __call__ = query

    def _query_packed(self, points: NumpyArray, out: Any) -> Optional[NumpyArray]:
        """`query` of arrays without gaps, in a quarter of the time for one point; else None."""
        function, given, flags = _PACKED.get(points.dtype), points.shape, points.flags
        if not (
            function and given and given[-1] == self._axes and flags.c_contiguous and flags.aligned
        ):
            return None
        shape = given[:-1] + self._tail
        if out is None:
            results = np.empty(shape, points.dtype)
        elif (
            type(out) is np.ndarray
            and out.shape == shape
            and out.dtype == points.dtype
            and out.flags.carray
            and not np.may_share_memory(out, points)
        ):
            results = out
        else:
            return None
        handle = self._live()
        status = function(
            handle.pointer, points.size // self._axes, pointer(points), pointer(results)
        )
        if status:
            check(status)
        return results

    def gradient(
        self,
        points: Points,
        position: Wanted = True,
        parameters: Wanted = False,
        values: Wanted = True,
        dtype: DType = None,
    ) -> Gradient:
        """Values and their derivatives (docs/derivatives.md), of those that are asked for.

        Each is True for a new array, False for none, or an array of yours as `out` of `query`, or
        a tuple of one array per value; of derivatives these may be tuples again.

        Args:
            points: as for `query`.
            position: derivatives by the coordinates, x first, such as J/cm.
            parameters: derivatives by the parameters, in the model's order.
            values: the values, bit by bit those of `query`.
            dtype: type of new arrays; that of the points if not given.

        Returns:
            A tuple `(values, position, parameters)`: values `(..., outputs)` as `query`, and
            derivatives `(..., outputs, dims)` and `(..., outputs, p)`; models of one value have no
            axis of outputs. What was not asked for is None.

        Raises:
            As `query`.
        """
        where = Coordinates(points, self._axes)
        return self._derivatives(
            library.drr_sampler_query_gradient,
            where.struct,
            Rows(where.shape, where.order),
            (values, position, parameters),
            result_type(dtype, where.dtype),
            where.given,
        )

    def lattice_gradient(
        self,
        dims: Any,
        ranges: Ranges = None,
        *,
        origin: Any = None,
        spacing: Any = None,
        position: Wanted = True,
        parameters: Wanted = False,
        values: Wanted = True,
        dtype: DType = None,
    ) -> Gradient:
        """Values and derivatives at the points of a lattice: those of `gradient`, bit by bit.

        Args:
            dims, ranges, origin, spacing: as for `lattice`.
            position, parameters, values: as for `gradient`.
            dtype: type of new arrays; float32 if not given.

        Returns:
            As `gradient`, for the points of an array as `lattice` gives it.

        Raises:
            As `query`.
        """
        where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
        return self._derivatives(
            library.drr_sampler_query_lattice_gradient,
            where.struct(),
            Rows(where.shape, range(len(where.shape)), lattice=True),
            (values, position, parameters),
            result_type(dtype, np.dtype(np.float32)),
        )

    def _derivatives(
        self,
        function: Callable[..., int],
        where: ctypes.Structure,
        rows: Rows,
        wanted: tuple[Wanted, Wanted, Wanted],
        dtype: Optional[np.dtype[Any]],
        inputs: Sequence[NumpyArray] = (),
    ) -> Gradient:
        tail = self._tail
        tails = (tail, (*tail, self._axes), (*tail, len(self._description.parameters)))

        def results(given: Any, tail: tuple[int, ...], name: str) -> Optional[Results]:
            if isinstance(given, (bool, np.bool_)):
                return Results(None, rows, tail, dtype, name) if given else None
            return Results(given, rows, tail, None, name)

        found = [results(*item) for item in zip(wanted, tails, Gradient._fields)]
        refuse_overlaps(found, inputs)
        check(function(self._live().pointer, ctypes.byref(where), *with_gradients(found)))
        return Gradient(*(item and item.finish() for item in found))

    @overload
    def lattice(
        self,
        dims: Any,
        ranges: Ranges = ...,
        *,
        origin: Any = ...,
        spacing: Any = ...,
        out: None = None,
        dtype: DType = ...,
    ) -> NumpyArray: ...

    @overload
    def lattice(
        self,
        dims: Any,
        ranges: Ranges = ...,
        *,
        origin: Any = ...,
        spacing: Any = ...,
        out: Given,
        dtype: DType = ...,
    ) -> Given: ...

    def lattice(
        self,
        dims: Any,
        ranges: Ranges = None,
        *,
        origin: Any = None,
        spacing: Any = None,
        out: Optional[Out] = None,
        dtype: DType = None,
    ) -> Any:
        """Values at the points of a regular lattice: faster than the same points one by one.

        Args:
            dims: points per axis, x first.
            ranges: per axis the first and last coordinate, or one number where `dims` is 1: a
                sequence, x first, or a mapping by name. Axes that are None or not named are those
                of the whole domain.
            origin, spacing: instead of `ranges`, both: the first point, and the distance of
                neighbouring points per axis, which may be negative; x first.
            out: array of the result's shape, as for `query`: the inner part of one with ghost
                cells, say, or one with other axes first, `[x, y, z].T`.
            dtype: type of a new result; float32 if not given.

        Returns:
            `dims` backwards, x last and fastest in memory: `(nz, ny, nx)` for three axes, and an
            axis of values as for `query`. `array[k, j, i]` is at x i, y j, z k.

        Raises:
            As `query`.
        """
        where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
        kind = result_type(dtype, np.dtype(np.float32) if out is None else None)
        rows = Rows(where.shape, range(len(where.shape)), lattice=True)
        results = Results(out, rows, self._tail, kind)
        refuse_overlaps([results])
        struct, values, handle = where.struct(), results.values(), self._live()
        check(
            library.drr_sampler_query_lattice(
                handle.pointer, ctypes.byref(struct), ctypes.byref(values)
            )
        )
        return results.finish()

    def lattice_coords(
        self, dims: Any, ranges: Ranges = None, *, origin: Any = None, spacing: Any = None
    ) -> dict[str, NumpyArray]:
        """The coordinates along each axis of the array that `lattice` gives for these arguments.

        In that array's order, the last axis of the model first: `values` of a model of one value
        become labelled by `xarray.DataArray(values, coords=coords, dims=list(coords))`.
        """
        return Lattice(self._description, self._units, dims, ranges, origin, spacing).coords()

    def to_xarray(
        self,
        dims: Any = None,
        ranges: Ranges = None,
        *,
        like: Optional[Union[xarray.DataArray, xarray.Dataset]] = None,
        origin: Any = None,
        spacing: Any = None,
        dtype: DType = None,
    ) -> xarray.Dataset:
        """`lattice` as an `xarray.Dataset`: a variable for each value, with units.

        Parameters are coordinates of no dimension, so that `xarray.concat` makes an axis of one;
        those with the name of an axis or a value are attributes.

        Args:
            dims, ranges, origin, spacing, dtype: as for `lattice`.
            like: instead of `dims` and what follows it, a grid with a coordinate named as each
                axis, at equal distances. Its coordinates are the result's, and a DataArray's order
                of dimensions is; what else it holds is ignored. Units that differ are an error.

        Raises:
            ImportError: xarray is not installed.
            ArgumentError: names of the model's axes and values are not all different, or as
                `query`.
        """
        from . import _xarray

        kind, order = result_type(dtype, np.dtype(np.float32)), None
        if like is None:
            where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
            labels = _xarray.labels_of(where, self._description, self._units)
        elif any(given is not None for given in (dims, ranges, origin, spacing)):
            raise ArgumentError("give either like, or dims and ranges or origin and spacing")
        else:
            labels = _xarray.labels_like(like, self._description, self._units)
            where = _xarray.lattice_of(labels, self._description, self._units)
            order = like.dims if isinstance(like.dims, tuple) else None
        return _xarray.dataset(self, where, labels, kind, order)

    def __repr__(self) -> str:
        values, axes = (
            ", ".join(item.name for item in items)
            for items in (self._description.values, self._description.axes)
        )
        parameters = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items())
        state = ", closed" if self.closed else ""
        return (
            f"<drr.Sampler {values} over {axes} at {parameters or 'no parameters'}; "
            f"{self._units} units, outside {self.outside!r}{state}>"
        )
