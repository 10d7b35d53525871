"""drr: query a baked neural-field surrogate of a simulation ensemble.

    import drr
    with drr.open("field.drr.safetensors") as model:
        sampler = model.at({"density": 0.3, "energy": 1.2})
        values = sampler(points)                     # (n, 3) -> (n,)
        slice_ = sampler.lattice((256, 256, 1), {"z": 5.0})   # (1, 256, 256)

Arrays of numpy go to the library as they are, whatever their strides. The model's own arithmetic
is 32-bit. Errors are `drr.Error`, and `TypeError` for arrays of the wrong type.
"""

from . import _library
from ._description import Description, Memory, Range, Value
from ._device import DeviceModel, DeviceSampler, device_count
from ._errors import (
    ArgumentError,
    DeviceError,
    Error,
    FileError,
    FormatError,
    InternalError,
    NoDeviceError,
    OutOfMemoryError,
    OutsideDomainError,
    UnsupportedError,
    VersionError,
)
from ._log import log_to
from ._model import Model, open, open_memory
from ._radiance import Picture
from ._sampler import Gradient, Sampler

__version__: str = _library.library.drr_version().decode()

__all__ = [
    "ArgumentError",
    "Description",
    "DeviceError",
    "DeviceModel",
    "DeviceSampler",
    "Error",
    "FileError",
    "FormatError",
    "Gradient",
    "InternalError",
    "Memory",
    "Model",
    "NoDeviceError",
    "OutOfMemoryError",
    "OutsideDomainError",
    "Picture",
    "Range",
    "Sampler",
    "UnsupportedError",
    "Value",
    "VersionError",
    "device_count",
    "log_to",
    "open",
    "open_memory",
]
