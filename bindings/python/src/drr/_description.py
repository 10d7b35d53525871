"""What a model is: its axes, parameters and values."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Union

import numpy as np

from . import _abi
from ._arrays import Array, view
from ._errors import ArgumentError
from ._library import check, library


@dataclass(frozen=True)
class Range:
    """An axis or a simulation parameter: its name, unit (empty if none) and physical range."""

    name: str
    unit: str
    min: float
    max: float


@dataclass(frozen=True)
class Value(Range):
    """A component of the field; `min` and `max` span what the model was trained on.

    `transform` is `linear`, or `log` if the model was trained on logarithms; values, `min` and
    `max` are physical either way.
    """

    transform: str = "linear"


@dataclass(frozen=True)
class Memory:
    """Bytes of the file, and of all memory that the open model takes, the file included."""

    file: int
    total: int


@dataclass(frozen=True)
class Description:
    """What a model is, read once when it is opened; stays valid when the model is closed."""

    axes: tuple[Range, ...]
    parameters: tuple[Range, ...]
    values: tuple[Value, ...]
    kernel: str
    # Whether it is a radiance field: what `Sampler.render` makes pictures of.
    is_radiance: bool
    # The whole description of the file (docs/format.md), provenance included.
    spec: Mapping[str, Any] = field(repr=False, compare=False)

    def tail(self) -> tuple[int, ...]:
        """The axis of a point's values: none for a model of one value."""
        return () if len(self.values) == 1 else (len(self.values),)


def information(pointer: int) -> _abi.ModelInfo:
    """`drr_model_get_info`; its strings belong to the model."""
    info = _abi.ModelInfo()
    check(library.drr_model_get_info(pointer, ctypes.byref(info)))
    return info


def describe(pointer: int) -> Description:
    """The description of an open model."""
    info = information(pointer)
    spec = json.loads(info.spec_json.decode())
    names = {number: name for name, number in _abi.TRANSFORM.items()}
    values = _infos(library.drr_model_get_value, pointer, info.outputs)
    return Description(
        axes=_ranges(library.drr_model_get_axis, pointer, info.dims),
        parameters=_ranges(library.drr_model_get_parameter, pointer, info.parameters),
        values=tuple(Value(*_range(value), names[value.transform]) for value in values),
        kernel=info.kernel.decode(),
        is_radiance=bool(info.is_radiance),
        spec=spec,
    )


def _ranges(function: Callable[..., int], pointer: int, count: int) -> tuple[Range, ...]:
    return tuple(Range(*_range(info)) for info in _infos(function, pointer, count))


def _infos(function: Callable[..., int], pointer: int, count: int) -> list[_abi.RangeInfo]:
    infos = [_abi.RangeInfo() for _ in range(count)]
    for index, info in enumerate(infos):
        check(function(pointer, index, ctypes.byref(info)))
    return infos


def _range(info: _abi.RangeInfo) -> tuple[str, str, float, float]:
    return info.name.decode(), info.unit.decode(), info.min, info.max


def parameter_values(
    ranges: Sequence[Range], parameters: Union[Mapping[str, float], Array, None]
) -> tuple[float, ...]:
    """One number per parameter of the model, in its order, from a mapping by name or a sequence.

    Raises:
        ArgumentError: a name is unknown, missing or ambiguous, or the count is wrong.
    """
    names = [parameter.name for parameter in ranges]
    known = ", ".join(names) or "none"
    if parameters is None:
        parameters = ()
    if isinstance(parameters, Mapping):
        if len(set(names)) < len(names):
            raise ArgumentError(f"parameters of the model share names ({known}): give a sequence")
        unknown = [name for name in parameters if name not in names]
        missing = [name for name in names if name not in parameters]
        if unknown or missing:
            what = [f"no parameter is named {name!r}" for name in unknown]
            what += [f"{name!r} is missing" for name in missing]
            raise ArgumentError(f"{', '.join(what)}; the model's parameters: {known}")
        parameters = [parameters[name] for name in names]
    values = np.asarray(view(parameters, "parameters"), np.float64)
    if values.shape != (len(names),):
        raise ArgumentError(
            f"parameters are of shape {values.shape}, expected {len(names)} numbers: {known}"
        )
    return tuple(values.tolist())


def choice(choices: Mapping[str, int], given: str, name: str) -> int:
    """The number of a choice.

    Raises:
        ArgumentError: there is no such choice.
    """
    if given not in choices:
        raise ArgumentError(f"{name} is {given!r}, expected one of {', '.join(map(repr, choices))}")
    return choices[given]


def sampler_options(units: str, outside: str, outside_parameters: str) -> _abi.SamplerOptions:
    """The struct for how points and parameters are understood."""
    return _abi.SamplerOptions(
        choice(_abi.UNITS, units, "units"),
        choice(_abi.OUTSIDE, outside, "outside"),
        choice(_abi.OUTSIDE, outside_parameters, "outside_parameters"),
    )
