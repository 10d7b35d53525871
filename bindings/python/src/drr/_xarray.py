"""Lattices as `xarray.Dataset`s: labelled axes, units, one variable per value.

The only module that needs xarray; imported when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

from ._description import Description
from ._errors import ArgumentError
from ._lattice import Lattice, regular

if TYPE_CHECKING:
    from ._sampler import Sampler

try:
    import xarray
except ImportError as error:
    raise ImportError(
        "Sampler.to_xarray needs xarray, which cannot be imported here: pip install xarray"
    ) from error

Like = Union["xarray.DataArray", "xarray.Dataset"]


def labels_of(lattice: Lattice, description: Description, units: str) -> dict[str, Any]:
    """The coordinates of a lattice by name of the axis, the last axis first."""
    unit = {axis.name: axis.unit for axis in description.axes}
    return {
        name: xarray.Variable((name,), numbers, _attributes(unit[name], units))
        for name, numbers in lattice.coords().items()
    }


def labels_like(like: Like, description: Description, units: str) -> dict[str, Any]:
    """The coordinates that a grid has along the model's axes, the last axis first.

    Raises:
        ArgumentError: one is missing, not along one dimension of its own, or in another unit.
    """
    if not isinstance(like, (xarray.DataArray, xarray.Dataset)):
        raise TypeError(f"like is a {type(like).__name__}, expected a DataArray or Dataset")
    labels = {}
    for axis in reversed(description.axes):
        if axis.name not in like.coords:
            there = ", ".join(map(str, like.coords)) or "none"
            raise ArgumentError(f"like has no coordinate {axis.name!r}; it has: {there}")
        labels[axis.name] = label = like.coords[axis.name].variable
        unit = label.attrs.get("units")
        if units == "physical" and unit and axis.unit and unit != axis.unit:
            raise ArgumentError(
                f"{axis.name} of like is in {unit!r}, that of the model in {axis.unit!r}: convert "
                "it, or correct its attrs['units']"
            )
    dims = [name for label in labels.values() for name in label.dims]
    if len(set(dims)) < len(dims) or any(label.ndim > 1 for label in labels.values()):
        found = ", ".join(f"{name}{label.dims}" for name, label in labels.items())
        raise ArgumentError(f"the axes of like are {found}, expected a dimension of its own each")
    return labels


def lattice_of(labels: Mapping[str, Any], description: Description, units: str) -> Lattice:
    """The lattice that coordinates stand for.

    Raises:
        ArgumentError: coordinates are not at equal distances.
    """
    lines = [labels[axis.name] for axis in description.axes]
    ends = [regular(line.values, axis.name) for line, axis in zip(lines, description.axes)]
    origin, spacing = zip(*ends)
    return Lattice(description, units, [line.size for line in lines], None, origin, spacing)


def dataset(
    sampler: Sampler,
    lattice: Lattice,
    labels: Mapping[str, Any],
    dtype: Any,
    order: Optional[Sequence[Any]] = None,
) -> xarray.Dataset:
    """The values at the points of a lattice, a variable each."""
    description = sampler.description
    names = [value.name for value in description.values]
    if len({*names, *labels}) < len(names) + len(description.axes):
        raise ArgumentError(f"axes and values share names: {[*labels, *names]}")
    fields = np.empty((len(names), *lattice.shape), dtype)
    sampler.lattice(lattice.dims, origin=lattice.origin, spacing=lattice.spacing, out=tuple(fields))
    dims = [name for label in labels.values() for name in label.dims]
    sizes = [label.size for label in labels.values() if label.dims]
    variables = {
        value.name: (dims, field.reshape(sizes), _attributes(value.unit, sampler.units))
        for value, field in zip(description.values, fields)
    }
    coords, attrs = dict(labels), {}
    for parameter in description.parameters:
        number = sampler.parameters[parameter.name]
        if parameter.name in coords or parameter.name in variables:
            attrs[parameter.name] = number
        else:
            unit = _attributes(parameter.unit, sampler.units)
            coords[parameter.name] = xarray.Variable((), number, unit)
    found = xarray.Dataset(variables, coords=coords, attrs=attrs)
    return found.transpose(*(name for name in order if name in dims)) if order else found


def _attributes(unit: str, units: str) -> dict[str, str]:
    return {"units": unit} if unit and units == "physical" else {}
