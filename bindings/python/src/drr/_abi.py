"""The C ABI as include/drr.h declares it: structs, constants, functions; no logic.

tests/test_abi.py compares every line of this module with the header.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_double, c_int32, c_int64, c_uint32, c_uint64, c_void_p
from typing import Any

ABI_VERSION = 1

# As a stride of points or parameters: one number, or one row, is that of all.
STRIDE_SAME = -(2**63)

# Choices by the names that they have in Python, the default first.
STORAGE = {"mapped": 0, "copied": 1, "huge": 2}
CHECKSUMS = {"verify": 0, "skip": 1}
UNITS = {"physical": 0, "normalized": 1}
OUTSIDE = {"clamp": 0, "zeros": 1, "nan": 2, "error": 3}
TRANSFORM = {"linear": 0, "log": 1}
DEVICE_KERNEL = {"auto": 0, "portable": 1, "tensor": 2}
RADIANCE = {"premultiplied": 0, "opaque": 1}
DEPTH = {"along_ray": 0, "along_axis": 1}

F32, F64, F16 = 0, 1, 2


class Sized(ctypes.Structure):
    """A struct that starts with its size, which is filled in when it is made."""

    def __init__(self, *fields: Any, **named: Any) -> None:
        super().__init__(ctypes.sizeof(self), *fields, **named)


class OpenOptions(Sized):
    """`drr_open_options`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("storage", c_uint32),
        ("checksums", c_uint32),
        ("threads", c_uint32),
    ]


class ModelInfo(Sized):
    """`drr_model_info`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("dims", c_uint32),
        ("parameters", c_uint32),
        ("outputs", c_uint32),
        ("file_bytes", c_uint64),
        ("memory_bytes", c_uint64),
        ("kernel", c_char_p),
        ("spec_json", c_char_p),
        ("is_radiance", c_uint32),
        ("reserved", c_uint32),
    ]


class RangeInfo(Sized):
    """`drr_range_info`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("transform", c_uint32),
        ("name", c_char_p),
        ("unit", c_char_p),
        ("min", c_double),
        ("max", c_double),
    ]


class SamplerOptions(Sized):
    """`drr_sampler_options`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("units", c_uint32),
        ("outside", c_uint32),
        ("outside_parameters", c_uint32),
    ]


class Points(Sized):
    """`drr_points`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("scalar", c_uint32),
        ("count", c_uint64),
        ("axis", c_void_p * 3),
        ("stride", c_int64 * 3),
    ]


class Values(Sized):
    """`drr_values`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("scalar", c_uint32),
        ("data", c_void_p),
        ("point_stride", c_int64),
        ("value_stride", c_int64),
        ("row_stride", c_int64),
        ("plane_stride", c_int64),
        ("separate", POINTER(c_void_p)),
    ]


class Lattice(Sized):
    """`drr_lattice`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("dims", c_uint64 * 3),
        ("origin", c_double * 3),
        ("spacing", c_double * 3),
    ]


class Gradients(Sized):
    """`drr_gradients`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("scalar", c_uint32),
        ("data", c_void_p),
        ("point_stride", c_int64),
        ("value_stride", c_int64),
        ("component_stride", c_int64),
        ("row_stride", c_int64),
        ("plane_stride", c_int64),
        ("separate", POINTER(c_void_p)),
    ]


class Parameters(Sized):
    """`drr_parameters`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("scalar", c_uint32),
        ("count", c_uint64),
        ("data", c_void_p),
        ("row_stride", c_int64),
        ("parameter_stride", c_int64),
    ]


class Camera(Sized):
    """`drr_camera`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("to_world", c_double * 12),
        ("focal_x", c_double),
        ("focal_y", c_double),
        ("centre_x", c_double),
        ("centre_y", c_double),
    ]


class RadianceOptions(Sized):
    """`drr_radiance_options`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("output", c_uint32),
        ("depth", c_uint32),
        ("reserved", c_uint32),
        ("step", c_double),
        ("ray_begin", c_double),
        ("ray_end", c_double),
        ("stop", c_double),
        ("background", c_double * 3),
        ("scene_depth", c_void_p),
    ]


class DeviceOptions(Sized):
    """`drr_device_options`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("kernel", c_uint32),
        ("context", c_void_p),
    ]


class DeviceInfo(Sized):
    """`drr_device_info`"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("ordinal", c_uint32),
        ("memory_bytes", c_uint64),
        ("device", c_char_p),
        ("kernel", c_char_p),
    ]


STRUCTS: dict[str, type[Sized]] = {
    "drr_open_options": OpenOptions,
    "drr_model_info": ModelInfo,
    "drr_range_info": RangeInfo,
    "drr_sampler_options": SamplerOptions,
    "drr_points": Points,
    "drr_values": Values,
    "drr_lattice": Lattice,
    "drr_gradients": Gradients,
    "drr_parameters": Parameters,
    "drr_camera": Camera,
    "drr_radiance_options": RadianceOptions,
    "drr_device_options": DeviceOptions,
    "drr_device_info": DeviceInfo,
}

status = c_uint32
# Handles, and arrays of numbers, whose addresses numpy tells.
handle = array = stream = c_void_p
# A pointer to a struct: `byref` of one, or None.
to = POINTER

log_callback = ctypes.CFUNCTYPE(None, c_uint32, c_char_p, c_void_p)

# Result and arguments of each function.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "drr_last_error": (c_char_p, []),
    "drr_last_os_error": (c_int32, []),
    "drr_status_name": (c_char_p, [c_uint32]),
    "drr_version": (c_char_p, []),
    "drr_abi_version": (c_uint32, []),
    "drr_model_open": (status, [c_char_p, to(OpenOptions), to(handle)]),
    "drr_model_open_memory": (status, [array, c_uint64, to(OpenOptions), to(handle)]),
    "drr_model_close": (None, [handle]),
    "drr_model_get_info": (status, [handle, to(ModelInfo)]),
    "drr_model_get_axis": (status, [handle, c_uint32, to(RangeInfo)]),
    "drr_model_get_parameter": (status, [handle, c_uint32, to(RangeInfo)]),
    "drr_model_get_value": (status, [handle, c_uint32, to(RangeInfo)]),
    "drr_sampler_create": (status, [handle, array, c_uint64, to(SamplerOptions), to(handle)]),
    "drr_sampler_free": (None, [handle]),
    "drr_sampler_query_f32": (status, [handle, c_uint64, array, array]),
    "drr_sampler_query_f64": (status, [handle, c_uint64, array, array]),
    "drr_sampler_query": (status, [handle, to(Points), to(Values)]),
    "drr_sampler_query_lattice": (status, [handle, to(Lattice), to(Values)]),
    "drr_sampler_query_gradient_f32": (status, [handle, c_uint64, array, array, array, array]),
    "drr_sampler_query_gradient_f64": (status, [handle, c_uint64, array, array, array, array]),
    "drr_sampler_query_gradient": (
        status,
        [handle, to(Points), to(Values), to(Gradients), to(Gradients)],
    ),
    "drr_sampler_query_lattice_gradient": (
        status,
        [handle, to(Lattice), to(Values), to(Gradients), to(Gradients)],
    ),
    "drr_model_query": (
        status,
        [handle, to(Parameters), to(SamplerOptions), to(Points), to(Values)],
    ),
    "drr_radiance_query": (status, [handle, to(Points), to(Points), to(Values)]),
    "drr_radiance_render": (
        status,
        [handle, to(Camera), c_uint64, c_uint64, to(RadianceOptions), array, array],
    ),
    "drr_radiance_render_rays": (
        status,
        [handle, to(Points), to(Points), to(RadianceOptions), array, array],
    ),
    "drr_device_count": (status, [to(c_uint32)]),
    "drr_model_to_device": (status, [handle, c_uint32, to(DeviceOptions), to(handle)]),
    "drr_device_model_close": (None, [handle]),
    "drr_device_model_get_info": (status, [handle, to(DeviceInfo)]),
    "drr_device_model_query": (
        status,
        [handle, to(Parameters), to(SamplerOptions), to(Points), to(Values), stream],
    ),
    "drr_device_sampler_create": (
        status,
        [handle, array, c_uint64, to(SamplerOptions), to(handle)],
    ),
    "drr_device_sampler_free": (None, [handle]),
    "drr_device_sampler_set_parameters": (status, [handle, array, c_uint64, stream]),
    "drr_device_sampler_query": (status, [handle, to(Points), to(Values), stream]),
    "drr_device_sampler_query_lattice": (status, [handle, to(Lattice), to(Values), stream]),
    "drr_device_sampler_query_gradient": (
        status,
        [handle, to(Points), to(Values), to(Gradients), to(Gradients), stream],
    ),
    "drr_device_sampler_query_lattice_gradient": (
        status,
        [handle, to(Lattice), to(Values), to(Gradients), to(Gradients), stream],
    ),
    "drr_device_radiance_query": (
        status,
        [handle, to(Points), to(Points), to(Values), stream],
    ),
    "drr_device_radiance_render": (
        status,
        [handle, to(Camera), c_uint64, c_uint64, to(RadianceOptions), array, array, stream],
    ),
    "drr_device_radiance_render_rays": (
        status,
        [handle, to(Points), to(Points), to(RadianceOptions), array, array, stream],
    ),
    "drr_device_sampler_query_host": (status, [handle, to(Points), to(Values)]),
    "drr_device_sampler_query_lattice_host": (status, [handle, to(Lattice), to(Values)]),
    "drr_model_query_f32": (status, [handle, c_uint64, array, array, array]),
    "drr_model_query_f64": (status, [handle, c_uint64, array, array, array]),
    "drr_set_log_callback": (status, [log_callback, c_uint32, c_void_p]),
    "drr_model_query_sets": (
        status,
        [handle, to(Parameters), to(SamplerOptions), to(Points), to(Values), c_int64],
    ),
}


def declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Give each function of the loaded library its types.

    Raises:
        AttributeError: a function is missing.
    """
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
