"""Models in the memory of a GPU: arrays there are asked and answered in place, arrays of the host
by way of it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, Callable, NamedTuple, Optional, Union

import numpy as np

from . import _abi
from ._arrays import Array, DType, NumpyArray, Out, Points
from ._description import Description, choice, parameter_values, sampler_options
from ._device_radiance import DeviceRadianceSampler
from ._errors import ArgumentError
from ._gpu_arrays import seen, stream_of, there
from ._handle import Closable, Handle
from ._inputs import Coordinates, ParameterRows
from ._lattice import Lattice, Ranges
from ._library import check, library
from ._results import Results, Rows, refuse_overlaps, result_type, with_gradients


def device_count() -> int:
    """Number of GPUs that NVIDIA's driver shows; 0 without a driver.

    Raises:
        DeviceError: there is a driver that does not work.
    """
    count = ctypes.c_uint32()
    check(library.drr_device_count(ctypes.byref(count)))
    return count.value


class DeviceModel(Closable):
    """A model in the memory of a GPU, made by `Model.to_device`; a context manager.

    Any number of threads may use it at the same time. Its samplers outlive it.
    """

    def __init__(
        self, model: int, description: Description, ordinal: int, kernel: str, context: int
    ) -> None:
        options = _abi.DeviceOptions(choice(_abi.DEVICE_KERNEL, kernel, "kernel"), context)
        pointer = ctypes.c_void_p()
        check(
            library.drr_model_to_device(
                model, ordinal, ctypes.byref(options), ctypes.byref(pointer)
            )
        )
        self._handle = Handle(pointer, library.drr_device_model_close)
        self._description = description
        info = _abi.DeviceInfo()
        check(library.drr_device_model_get_info(self._handle.pointer, ctypes.byref(info)))
        self._device: str = info.device.decode()
        self._kernel: str = info.kernel.decode()
        self._memory_bytes: int = info.memory_bytes

    @property
    def description(self) -> Description:
        """What the model is."""
        return self._description

    @property
    def device(self) -> str:
        """Number and name of the GPU: `cuda:0 (...)`."""
        return self._device

    @property
    def kernel(self) -> str:
        """Name of the kernel in use: `portable` or `tensor`."""
        return self._kernel

    @property
    def memory_bytes(self) -> int:
        """Memory of the GPU that the model takes, without its samplers."""
        return self._memory_bytes

    def at(
        self,
        parameters: Union[Mapping[str, float], Array, None] = None,
        *,
        units: str = "physical",
        outside: str = "clamp",
        outside_parameters: str = "clamp",
    ) -> DeviceSampler:
        """Bind the model to one set of simulation parameters, and wait for that.

        Arguments and errors are those of `Model.at`, but that `outside="error"` is an
        UnsupportedError.
        """
        return DeviceSampler(
            self._live().pointer,
            self._description,
            parameter_values(self._description.parameters, parameters),
            sampler_options(units, outside, outside_parameters),
            units,
        )

    def query(
        self,
        points: Points,
        parameters: Array,
        out: Out,
        *,
        units: str = "physical",
        outside: str = "clamp",
        outside_parameters: str = "clamp",
        stream: Any = None,
    ) -> Any:
        """Values at points on the GPU of which each has parameters of its own there; queued.

        Args:
            points, out, stream: as for `DeviceSampler.query`, on the GPU.
            parameters: as for `Model.query`, on the GPU.
            units, outside, outside_parameters: as for `at`.

        Returns:
            `out`.

        Raises:
            As `DeviceSampler.query`.
        """
        options = sampler_options(units, outside, outside_parameters)
        given = (points, "points"), (parameters, "parameters"), (out, "out")
        arrays = [there(array, name, stream) for array, name in given]
        where = Coordinates(arrays[0], len(self._description.axes), copies=False)
        count = len(self._description.parameters)
        rows = ParameterRows(arrays[1], count, where.order, copies=False)
        if rows.shape != where.shape:
            raise ArgumentError(
                f"parameters are for points of shape {rows.shape}, but points are of {where.shape}"
            )
        layout, tail = Rows(where.shape, where.order), self._description.tail()
        results = Results(arrays[2], layout, tail, None, copies=False)
        refuse_overlaps([results], (*where.given, rows.given))
        values, handle = results.values(), self._live()
        check(
            library.drr_device_model_query(
                handle.pointer,
                ctypes.byref(rows.struct),
                ctypes.byref(options),
                ctypes.byref(where.struct),
                ctypes.byref(values),
                stream_of(stream, points),
            )
        )
        return out

    def __repr__(self) -> str:
        state = ", closed" if self.closed else ""
        return f"<drr.DeviceModel on {self.device}; {self.kernel}{state}>"


class _Derivatives(NamedTuple):
    """Where derivatives go that are wanted, and the values."""

    values: Optional[Out]
    position: Optional[Out]
    parameters: Optional[Out]


class DeviceSampler(DeviceRadianceSampler):
    """A model on a GPU bound to one set of parameters; a context manager.

    Calls for arrays of the GPU are queued on a stream; such a sampler belongs to one stream at a
    time, and is closed only when that has done all that was queued.
    """

    def __init__(
        self,
        model: int,
        description: Description,
        parameters: tuple[float, ...],
        options: _abi.SamplerOptions,
        units: str,
    ) -> None:
        pointer, numbers = ctypes.c_void_p(), (ctypes.c_double * len(parameters))(*parameters)
        check(
            library.drr_device_sampler_create(
                model, numbers, len(parameters), ctypes.byref(options), ctypes.byref(pointer)
            )
        )
        self._handle = Handle(pointer, library.drr_device_sampler_free)
        self._description, self._units = description, units

    def bind(
        self, parameters: Union[Mapping[str, float], Array, None] = None, *, stream: Any = None
    ) -> None:
        """Bind it to other parameters, in the order of `stream`; does not wait.

        Args:
            parameters: as for `Model.at`.
            stream: as for `query`.

        Raises:
            ArgumentError: parameters do not fit the model, the sampler was closed.
        """
        values = parameter_values(self._description.parameters, parameters)
        numbers = (ctypes.c_double * len(values))(*values)
        check(
            library.drr_device_sampler_set_parameters(
                self._live().pointer, numbers, len(values), stream_of(stream)
            )
        )

    def query(
        self,
        points: Points,
        out: Optional[Out] = None,
        dtype: DType = None,
        *,
        stream: Any = None,
    ) -> Any:
        """Values at points; `sampler(points)` is the same.

        Points on the GPU (whatever has `__cuda_array_interface__` or DLPack: CuPy, Numba, PyTorch,
        JAX) are answered there: `out` is needed, the call is queued and does not wait. Points of the host
        are copied there and their values back, piece by piece; that waits.

        Args:
            points: as for `Sampler.query`, all on the GPU or all of the host.
            out: as for `Sampler.query`, where the points are.
            dtype: type of a new result; for points of the host.
            stream: for points on the GPU: number of a `CUstream` or `cudaStream_t`, or an object
                with the method `__cuda_stream__`; the stream of the points if not given, else the
                default one.

        Returns:
            As `Sampler.query`; `out` if it was given.

        Raises:
            ArgumentError: shapes do not fit, `out` is missing or cannot be written, points or `out`
                on the GPU have steps that would take a copy, the sampler was closed.
            TypeError: an array is of another type or byte order.
            DeviceError: the GPU failed, maybe in something before.
        """
        array = seen(points, "points", stream)
        is_there = array is not points
        where = Coordinates(array, len(self._description.axes), copies=not is_there)
        kind = result_type(dtype, where.dtype if out is None else None)
        rows = Rows(where.shape, where.order)
        results = self._results(out, rows, kind, is_there, stream)
        refuse_overlaps([results], where.given)
        self._ask("drr_device_sampler_query", where.struct, results, is_there, stream, points)
        new = results.finish()
        return new if out is None else out

    __call__ = query

    def lattice(
        self,
        dims: Any,
        ranges: Ranges = None,
        *,
        origin: Any = None,
        spacing: Any = None,
        out: Optional[Out] = None,
        dtype: DType = None,
        stream: Any = None,
    ) -> Any:
        """Values at the points of a regular lattice, written where `out` is.

        Args:
            dims, ranges, origin, spacing, dtype: as for `Sampler.lattice`.
            out: as there; on the GPU or of the host. A new array is of the host.
            stream: as for `query`.

        Returns:
            As `Sampler.lattice`; `out` if it was given.

        Raises:
            As `query`.
        """
        where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
        kind = result_type(dtype, np.dtype(np.float32) if out is None else None)
        rows = Rows(where.shape, range(len(where.shape)), lattice=True)
        is_there = out is not None and seen(out, "out", stream) is not out
        results = self._results(out, rows, kind, is_there, stream)
        refuse_overlaps([results])
        name = "drr_device_sampler_query_lattice"
        self._ask(name, where.struct(), results, is_there, stream, out)
        new = results.finish()
        return new if out is None else out

    def gradient(
        self,
        points: Points,
        position: Optional[Out] = None,
        parameters: Optional[Out] = None,
        values: Optional[Out] = None,
        *,
        stream: Any = None,
    ) -> None:
        """Values and their derivatives (docs/derivatives.md) at points on the GPU; queued.

        What is None is not computed.

        Args:
            points, stream: as for `query`, on the GPU.
            position: receives derivatives by the coordinates, as for `Sampler.gradient`, on the GPU.
            parameters: receives derivatives by the parameters, on the GPU.
            values: receives the values, on the GPU.

        Raises:
            UnsupportedError: the model's layers are too wide and many for derivatives there.
            And as `query`.
        """
        where = Coordinates(there(points, "points", stream), len(self._axes), copies=False)
        rows = Rows(where.shape, where.order)
        out = _Derivatives(values, position, parameters)
        name = "drr_device_sampler_query_gradient"
        self._derive(name, where.struct, rows, out, stream_of(stream, points), where.given)

    def lattice_gradient(
        self,
        dims: Any,
        ranges: Ranges = None,
        *,
        origin: Any = None,
        spacing: Any = None,
        position: Optional[Out] = None,
        parameters: Optional[Out] = None,
        values: Optional[Out] = None,
        stream: Any = None,
    ) -> None:
        """Values and derivatives at the points of a lattice; queued.

        Args:
            dims, ranges, origin, spacing: as for `Sampler.lattice`.
            position, parameters, values, stream: as for `gradient`.

        Raises:
            As `gradient`.
        """
        where = Lattice(self._description, self._units, dims, ranges, origin, spacing)
        rows = Rows(where.shape, range(len(where.shape)), lattice=True)
        out = _Derivatives(values, position, parameters)
        given = next((array for array in out if array is not None), None)
        name = "drr_device_sampler_query_lattice_gradient"
        self._derive(name, where.struct(), rows, out, stream_of(stream, given))

    def _derive(
        self,
        name: str,
        where: ctypes.Structure,
        rows: Rows,
        out: _Derivatives,
        stream: Optional[int],
        inputs: Sequence[NumpyArray] = (),
    ) -> None:
        tail = self._description.tail()
        tails = (tail, (*tail, len(self._axes)), (*tail, len(self._description.parameters)))
        found = [
            None
            if array is None
            else Results(there(array, what, stream), rows, shape, None, what, copies=False)
            for array, shape, what in zip(out, tails, _Derivatives._fields)
        ]
        refuse_overlaps(found, inputs)
        handle, function = self._live(), getattr(library, name)
        check(function(handle.pointer, ctypes.byref(where), *with_gradients(found), stream))

    @property
    def _axes(self) -> Sequence[Any]:
        return self._description.axes

    def _results(
        self, out: Any, rows: Rows, kind: Optional[np.dtype[Any]], is_there: bool, stream: Any
    ) -> Results:
        array = there(out, "out", stream) if is_there else out
        return Results(array, rows, self._description.tail(), kind, copies=not is_there)

    def _ask(
        self,
        name: str,
        where: ctypes.Structure,
        results: Results,
        is_there: bool,
        stream: Any,
        given: Any,
    ) -> None:
        struct, handle = results.values(), self._live()
        arguments = [handle.pointer, ctypes.byref(where), ctypes.byref(struct)]
        if is_there:
            arguments.append(stream_of(stream, given))
        elif stream is not None:
            raise ArgumentError("stream is for arrays on the GPU: those of the host are waited for")
        function: Callable[..., int] = getattr(library, name if is_there else f"{name}_host")
        check(function(*arguments))

    def __repr__(self) -> str:
        return f"<drr.DeviceSampler{', closed' if self.closed else ''}>"
