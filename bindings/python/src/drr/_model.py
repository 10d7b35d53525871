"""Opening baked files, and asking them for many sets of parameters."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from typing import Any, Optional, TypeVar, Union, overload

import numpy as np

from . import _abi
from ._arrays import Array, DType, NumpyArray, Out, Points, address
from ._description import (
    Description,
    Memory,
    Range,
    Value,
    choice,
    describe,
    information,
    parameter_values,
    sampler_options,
)
from ._device import DeviceModel
from ._errors import ArgumentError
from ._handle import Closable, Handle
from ._inputs import Coordinates, ParameterRows
from ._library import check, library
from ._results import Results, Rows, refuse_overlaps, result_type
from ._sampler import Sampler

Given = TypeVar("Given", bound=Out)


def open(
    path: Union[str, bytes, os.PathLike[str], os.PathLike[bytes]],
    storage: str = "mapped",
    checksums: str = "verify",
    threads: int = 0,
) -> Model:
    """Open a baked file and check it completely.

    Args:
        path: name of the file.
        storage: `"mapped"` shares the file's memory with other processes (it must not be rewritten
            in place meanwhile), `"copied"` reads it, `"huge"` reads it into huge pages.
        checksums: `"verify"` reads the whole file once, `"skip"` trusts it.
        threads: threads that a query may use: 0 or 1 for the caller's alone, up to 1024 for a
            private pool.

    Raises:
        FileError: the system refused to read it; also a `FileNotFoundError`, a `PermissionError`,
            ... with `errno` and `filename`.
        FormatError, VersionError: it is no valid model, or of a newer version.
        ArgumentError: an option is none of the above.
    """
    name = os.fsencode(path)
    if b"\0" in name:
        raise ArgumentError("path contains a NUL character")
    options, filename = _open_options(storage, checksums, threads), os.fsdecode(path)
    pointer = ctypes.c_void_p()
    check(library.drr_model_open(name, ctypes.byref(options), ctypes.byref(pointer)), filename)
    return Model(pointer, filename)


def open_memory(data: Any, checksums: str = "verify", threads: int = 0) -> Model:
    """Open a baked file that is in memory (`bytes`, `memoryview`, ...); the bytes are copied.

    Arguments and errors are those of `open`.
    """
    content = np.frombuffer(data, np.uint8)
    options = _open_options("copied", checksums, threads)
    pointer = ctypes.c_void_p()
    check(
        library.drr_model_open_memory(
            address(content), content.size, ctypes.byref(options), ctypes.byref(pointer)
        )
    )
    return Model(pointer, None)


def _open_options(storage: str, checksums: str, threads: int) -> _abi.OpenOptions:
    if not 0 <= threads <= 1024:
        raise ArgumentError(f"threads is {threads}, expected 0 to 1024")
    return _abi.OpenOptions(
        choice(_abi.STORAGE, storage, "storage"),
        choice(_abi.CHECKSUMS, checksums, "checksums"),
        threads,
    )


class Model(Closable):
    """An open baked model. Immutable: any number of threads may use it at the same time.

    Made by `open` and `open_memory`; a context manager. Its samplers outlive it.
    """

    def __init__(self, pointer: ctypes.c_void_p, path: Optional[str]) -> None:
        self._handle = Handle(pointer, library.drr_model_close)
        self._path = path
        self._description = describe(self._handle.pointer)

    @property
    def path(self) -> Optional[str]:
        """The file's name; None if it was opened in memory."""
        return self._path

    @property
    def axes(self) -> tuple[Range, ...]:
        """The coordinates of a point, x first, from their first to their last vertex."""
        return self._description.axes

    @property
    def parameters(self) -> tuple[Range, ...]:
        """The simulation parameters, in the order of sequences that are given for them."""
        return self._description.parameters

    @property
    def values(self) -> tuple[Value, ...]:
        """The components of the field."""
        return self._description.values

    @property
    def kernel(self) -> str:
        """Name of the kernel in use, for instance `avx2`."""
        return self._description.kernel

    @property
    def description(self) -> Description:
        """All of the above as one object; `description.spec` is the file's own (docs/format.md)."""
        return self._description

    @property
    def memory(self) -> Memory:
        """Memory that the open model takes, in bytes."""
        handle = self._live()
        info = information(handle.pointer)
        return Memory(info.file_bytes, info.memory_bytes)

    def at(
        self,
        parameters: Union[Mapping[str, float], Array, None] = None,
        *,
        units: str = "physical",
        outside: str = "clamp",
        outside_parameters: str = "clamp",
    ) -> Sampler:
        """Bind the model to one set of simulation parameters.

        Args:
            parameters: a number for each parameter of the model: a mapping by name, or a sequence
                in the model's order (numbers, or an array of them).
            units: `"physical"`, the file's, or `"normalized"`: coordinates in [-1, 1], parameters
                in [0, 1], values before de-normalisation.
            outside: what points outside the domain give: `"clamp"`, the value at the nearest
                border; `"zeros"`, features fade out within one cell; `"nan"`; `"error"`.
            outside_parameters: the same for parameters outside their ranges, but for `"zeros"`.

        Raises:
            ArgumentError: parameters do not fit the model, an option does not exist.
            OutsideDomainError: a parameter is outside, and `outside_parameters` is `"error"`.
        """
        values = parameter_values(self.parameters, parameters)
        options = sampler_options(units, outside, outside_parameters)
        handle, pointer = self._live(), ctypes.c_void_p()
        numbers = (ctypes.c_double * len(values))(*values)
        check(
            library.drr_sampler_create(
                handle.pointer, numbers, len(values), ctypes.byref(options), ctypes.byref(pointer)
            )
        )
        return Sampler(
            pointer,
            self._description,
            values,
            units,
            outside,
            outside_parameters,
        )

    def to_device(
        self, ordinal: int = 0, *, kernel: str = "auto", context: int = 0
    ) -> DeviceModel:
        """Copy the model to a GPU and compare some hundred values there with those of the CPU.

        Args:
            ordinal: number of the GPU, as CUDA counts.
            kernel: `"auto"`, `"portable"` (everything in 32 bits) or `"tensor"` (tensor cores, 16
                bits, or an error).
            context: a `CUcontext` of that GPU as a number, which outlives the model there; 0 for
                the primary one, that of CuPy and PyTorch.

        Raises:
            NoDeviceError: there is no such GPU, or no driver.
            UnsupportedError: the GPU, its driver or the kernel cannot run the model.
            OutOfMemoryError: the GPU has too little memory.
            DeviceError: the GPU failed, or its values are not those of the CPU.
        """
        handle = self._live()
        return DeviceModel(handle.pointer, self._description, ordinal, kernel, context)

    @overload
    def query(
        self,
        points: Points,
        parameters: Array,
        *,
        units: str = ...,
        outside: str = ...,
        outside_parameters: str = ...,
        out: None = None,
        dtype: DType = ...,
    ) -> NumpyArray: ...

    @overload
    def query(
        self,
        points: Points,
        parameters: Array,
        *,
        units: str = ...,
        outside: str = ...,
        outside_parameters: str = ...,
        out: Given,
        dtype: DType = ...,
    ) -> Given: ...

    def query(
        self,
        points: Points,
        parameters: Array,
        *,
        units: str = "physical",
        outside: str = "clamp",
        outside_parameters: str = "clamp",
        out: Optional[Out] = None,
        dtype: DType = None,
    ) -> Any:
        """Values at points of which each has parameters of its own.

        Args:
            points: as for `Sampler.query`.
            parameters: float32 or float64 `(..., p)`: for each point a row of the model's `p`
                parameters, in its order; leading axes as those of the points.
            units, outside, outside_parameters: as for `at`.
            out, dtype: as for `Sampler.query`.

        Returns:
            As `Sampler.query`.

        Raises:
            As `Sampler.query`.
        """
        options = sampler_options(units, outside, outside_parameters)
        where = Coordinates(points, len(self.axes))
        rows = ParameterRows(parameters, len(self.parameters), where.order)
        if rows.shape != where.shape:
            raise ArgumentError(
                f"parameters are for points of shape {rows.shape}, but points are of {where.shape}"
            )
        kind = result_type(dtype, where.dtype if out is None else None)
        layout = Rows(where.shape, where.order)
        results = Results(out, layout, self._description.tail(), kind)
        refuse_overlaps([results], (*where.given, rows.given))
        values, handle = results.values(), self._live()
        check(
            library.drr_model_query(
                handle.pointer,
                ctypes.byref(rows.struct),
                ctypes.byref(options),
                ctypes.byref(where.struct),
                ctypes.byref(values),
            )
        )
        return results.finish()

    @overload
    def query_sets(
        self,
        points: Points,
        parameters: Array,
        *,
        units: str = ...,
        outside: str = ...,
        outside_parameters: str = ...,
        out: None = None,
        dtype: DType = ...,
    ) -> NumpyArray: ...

    @overload
    def query_sets(
        self,
        points: Points,
        parameters: Array,
        *,
        units: str = ...,
        outside: str = ...,
        outside_parameters: str = ...,
        out: Given,
        dtype: DType = ...,
    ) -> Given: ...

    def query_sets(
        self,
        points: Points,
        parameters: Array,
        *,
        units: str = "physical",
        outside: str = "clamp",
        outside_parameters: str = "clamp",
        out: Optional[Out] = None,
        dtype: DType = None,
    ) -> Any:
        """Values at the same points for many sets of parameters: faster than a sampler for each.

        Args:
            points: as for `Sampler.query`.
            parameters: float32 or float64 `(sets, p)`: a row for each set.
            units, outside, outside_parameters: as for `at`.
            out, dtype: as for `Sampler.query`, with a leading axis of the sets.

        Returns:
            An array whose first axis are the sets, and the others those of `Sampler.query`; bit by
            bit what samplers give.

        Raises:
            As `Sampler.query`.
        """
        options = sampler_options(units, outside, outside_parameters)
        where = Coordinates(points, len(self.axes))
        rows = ParameterRows(parameters, len(self.parameters))
        if len(rows.shape) != 1:
            raise ArgumentError(
                f"parameters are of shape {rows.given.shape}, expected (sets, "
                f"{len(self.parameters)})"
            )
        kind = result_type(dtype, where.dtype if out is None else None)
        layout = Rows(where.shape, where.order, sets=rows.shape)
        results = Results(out, layout, self._description.tail(), kind)
        refuse_overlaps([results], (*where.given, rows.given))
        values, handle = results.values(), self._live()
        check(
            library.drr_model_query_sets(
                handle.pointer,
                ctypes.byref(rows.struct),
                ctypes.byref(options),
                ctypes.byref(where.struct),
                ctypes.byref(values),
                results.set_stride,
            )
        )
        return results.finish()

    def __repr__(self) -> str:
        names = [
            ", ".join(item.name for item in items) or "nothing"
            for items in (self.values, self.axes, self.parameters)
        ]
        state = ", closed" if self.closed else ""
        return (
            f"<drr.Model {self.path or 'in memory'}: {names[0]} over {names[1]} for {names[2]}; "
            f"{self.kernel}{state}>"
        )
