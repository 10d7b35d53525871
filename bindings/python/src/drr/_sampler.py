"""A model bound to one set of parameters: values, derivatives, lattices."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

import numpy as np

from ._arrays import Coordinates, Results, address, result_type
from ._description import Description
from ._errors import ArgumentError
from ._handle import Closable, Handle
from ._lattice import Lattice, Ranges
from ._library import check, library

_PACKED = {
    np.dtype(np.float32): library.drr_sampler_query_f32,
    np.dtype(np.float64): library.drr_sampler_query_f64,
}


class Gradient(NamedTuple):
    """Values and derivatives; what was not asked for is None."""

    values: Optional[np.ndarray]
    position: Optional[np.ndarray]
    parameters: Optional[np.ndarray]


class Sampler(Closable):
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
    ):
        self._handle = Handle(pointer, library.drr_sampler_free)
        self._description = description
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

    def query(self, points: Any, out: Any = None, dtype: Any = None) -> Any:
        """Values at points; `sampler(points)` is the same.

        Args:
            points: float32 or float64 `(..., dims)`, x first, of any strides; or a tuple of `dims`
                arrays of equal shapes `(...)`, one per coordinate; in the sampler's units. Any
                array on the CPU is taken as it is (array interface, DLPack); lists of numbers are
                converted to float64. A point with a NaN gives NaN.
            out: float32, float64 or float16 array of the result's shape, of any strides, to be
                written and returned; shares no memory with the points.
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
        where = Coordinates(points, len(self._description.axes))
        dtype = result_type(dtype, where.dtype if out is None else None)
        shape = where.shape + self._description.tail()
        results = Results(out, shape, dtype, where.order, inputs=where.given)
        struct, handle = results.values(), self._live()
        check(
            library.drr_sampler_query(
                handle.pointer, ctypes.byref(where.struct), ctypes.byref(struct)
            )
        )
        return results.finish()

    __call__ = query

    def _query_packed(self, points: np.ndarray, out: Any) -> Optional[np.ndarray]:
        """`query` of arrays without gaps, in a third of the time for one point; else None."""
        function = _PACKED.get(points.dtype)
        given, flags = points.shape, points.flags
        axes = len(self._description.axes)
        if not (function and given and given[-1] == axes and flags.c_contiguous and flags.aligned):
            return None
        shape = given[:-1] + self._description.tail()
        if out is None:
            out = np.empty(shape, points.dtype)
        elif not (
            type(out) is np.ndarray
            and out.shape == shape
            and out.dtype == points.dtype
            and out.flags.carray
            and not np.may_share_memory(out, points)
        ):
            return None
        handle = self._live()
        status = function(handle.pointer, points.size // axes, address(points), address(out))
        if status:
            check(status)
        return out

    def gradient(
        self,
        points: Any,
        position: bool = True,
        parameters: bool = False,
        values: bool = True,
        dtype: Any = None,
    ) -> Gradient:
        """Values and their derivatives (docs/derivatives.md), of those that are asked for.

        Args:
            points: as for `query`.
            position: derivatives by the coordinates, x first, such as J/cm.
            parameters: derivatives by the parameters, in the model's order.
            values: the values, bit by bit those of `query`.
            dtype: type of the results; that of the points if not given.

        Returns:
            A tuple `(values, position, parameters)`: values `(..., outputs)` as `query`, and
            derivatives `(..., outputs, dims)` and `(..., outputs, p)`; models of one value have no
            axis of outputs. What was not asked for is None.

        Raises:
            As `query`.
        """
        where = Coordinates(points, len(self._description.axes))
        dtype = result_type(dtype, where.dtype)
        shape = where.shape + self._description.tail()

        def results(wanted: bool, *components: int) -> Optional[Results]:
            return Results(None, shape + components, dtype, where.order) if wanted else None

        all_results = (
            results(values),
            results(position, len(self._description.axes)),
            results(parameters, len(self._description.parameters)),
        )
        structs = (
            all_results[0] and all_results[0].values(),
            all_results[1] and all_results[1].gradients(),
            all_results[2] and all_results[2].gradients(),
        )
        handle = self._live()
        check(
            library.drr_sampler_query_gradient(
                handle.pointer,
                ctypes.byref(where.struct),
                *(struct and ctypes.byref(struct) for struct in structs),
            )
        )
        return Gradient(*(results.finish() if results else None for results in all_results))

    def lattice(
        self,
        dims: Any,
        ranges: Ranges = None,
        *,
        origin: Any = None,
        spacing: Any = None,
        out: Any = None,
        dtype: Any = None,
    ) -> Any:
        """Values at the points of a regular lattice: faster than the same points one by one.

        Args:
            dims: points per axis, x first.
            ranges: per axis the first and last coordinate, or one number where `dims` is 1: a
                sequence, x first, or a mapping by name. Axes that are None or not named are those
                of the whole domain.
            origin, spacing: instead of `ranges`, both: the first point, and the distance of
                neighbouring points per axis, which may be negative; x first.
            out: array of the result's shape, as for `query`.
            dtype: type of a new result; float32 if not given.

        Returns:
            `dims` backwards, x last and fastest in memory: `(nz, ny, nx)` for three axes, and an
            axis of values as for `query`. `array[k, j, i]` is at x i, y j, z k.

        Raises:
            As `query`.
        """
        where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
        dtype = result_type(dtype, np.dtype(np.float32) if out is None else None)
        shape = where.dims[::-1]
        results = Results(out, shape + self._description.tail(), dtype, range(len(shape)))
        struct, values, handle = where.struct(), results.values(), self._live()
        check(
            library.drr_sampler_query_lattice(
                handle.pointer, ctypes.byref(struct), ctypes.byref(values)
            )
        )
        return results.finish()

    def lattice_coords(
        self, dims: Any, ranges: Ranges = None, *, origin: Any = None, spacing: Any = None
    ) -> dict[str, np.ndarray]:
        """The coordinates along each axis of the array that `lattice` gives for these arguments.

        In that array's order, the last axis of the model first: `values` of a model of one value
        become labelled by `xarray.DataArray(values, coords=coords, dims=list(coords))`.
        """
        return Lattice(self._description, self._units, dims, ranges, origin, spacing).coords()

    def to_xarray(
        self,
        dims: Any,
        ranges: Ranges = None,
        *,
        origin: Any = None,
        spacing: Any = None,
        dtype: Any = None,
    ) -> Any:
        """`lattice` as an `xarray.Dataset` with one variable per value, with units and parameters.

        Raises:
            ImportError: xarray is not installed.
            ArgumentError: names of the model's axes and values are not all different.
        """
        import xarray

        where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
        coords = where.coords()
        names = [value.name for value in self._description.values]
        if len({*names, *coords}) < len(names) + len(self._description.axes):
            raise ArgumentError(f"axes and values share names: {[*coords, *names]}")
        array = self.lattice(dims, ranges, origin=origin, spacing=spacing, dtype=dtype)
        array = array.reshape(*where.dims[::-1], len(names))
        fields = {
            value.name: (list(coords), array[..., k], self._attributes(value.unit))
            for k, value in enumerate(self._description.values)
        }
        axes = {axis.name: self._attributes(axis.unit) for axis in self._description.axes}
        labels = {name: (name, numbers, axes[name]) for name, numbers in coords.items()}
        return xarray.Dataset(fields, coords=labels, attrs=dict(self.parameters))

    def _attributes(self, unit: str) -> dict[str, str]:
        return {"units": unit} if unit and self._units == "physical" else {}

    def __repr__(self) -> str:
        parameters = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items())
        state = ", closed" if self.closed else ""
        return f"<drr.Sampler {parameters or 'without parameters'}; {self._units} units{state}>"
