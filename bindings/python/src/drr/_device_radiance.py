"""Radiance fields on a GPU: densities and colours at points, pictures; all queued."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ._arrays import NumpyArray, Out, Points, address
from ._errors import ArgumentError
from ._gpu_arrays import stream_of, there
from ._handle import Closable
from ._inputs import Coordinates
from ._library import check, library
from ._radiance import camera_of, options_of, pixels_of
from ._results import Results, Rows, refuse_overlaps


class DeviceRadianceSampler(Closable):
    """What a sampler of a radiance field on a GPU answers beside values."""

    def radiance(
        self, points: Points, directions: Points, out: Out, *, stream: Any = None
    ) -> Any:
        """Density, red, green and blue at points on the GPU, each seen along a direction; queued.

        Args:
            points: as for `query`, on the GPU. The density is 0 outside the domain.
            directions: as many, of the same shape and order in memory, on the GPU; away from the eye.
                One of length 0 makes the colour NaN.
            out: float32, float64 or float16 array `(..., 4)` on the GPU.
            stream: as for `query`.

        Returns:
            `out`.

        Raises:
            ArgumentError: shapes do not fit, or the model is no radiance field.
            UnsupportedError: the layers that make colours are too wide for the GPU.
            And as `query`.
        """
        where = Coordinates(there(points, "points", stream), 3, copies=False)
        along = _as_many(there(directions, "directions", stream), where)
        rows = Rows(where.shape, where.order)
        results = Results(there(out, "out", stream), rows, (4,), None, copies=False)
        refuse_overlaps([results], [*where.given, *along.given])
        struct = results.values()
        check(
            library.drr_device_radiance_query(
                self._live().pointer,
                ctypes.byref(where.struct),
                ctypes.byref(along.struct),
                ctypes.byref(struct),
                stream_of(stream, points),
            )
        )
        return out

    def render(
        self,
        to_world: Any,
        focal: Any,
        rgba: Out,
        depth: Optional[Out] = None,
        *,
        centre: Any = None,
        background: Any = None,
        step: float = 0,
        ray_begin: float = 0,
        ray_end: float = math.inf,
        stop: float = 1e-4,
        depth_kind: str = "along_ray",
        scene_depth: Any = None,
        stream: Any = None,
    ) -> Any:
        """A picture as a pinhole camera sees it, in the GPU's memory; queued.

        Args:
            to_world, focal, centre: as for `Sampler.render`, of the host.
            rgba: receives the picture: float32 `(height, width, 4)` without gaps, on the GPU.
            depth: receives how far away what is seen is: float32 `(height, width)`, on the GPU.
            background, step, ray_begin, ray_end, stop: as for `Sampler.render`.
            depth_kind: how depths are measured: `"along_ray"` or `"along_axis"`.
            scene_depth: float32 `(height, width)` on the GPU: where rays end at something else.
            stream: as for `query`; that of `rgba` if not given.

        Returns:
            `rgba`.

        Raises:
            As `radiance`.
        """
        picture = _room(there(rgba, "rgba", stream), "rgba", (None, None, 4))
        shape = picture.shape[:2]
        camera = camera_of(to_world, focal, pixels_of(shape[::-1]), centre)
        given = _given(scene_depth, shape, stream)
        ray = (ray_begin, ray_end)
        options, _ = options_of(shape, background, step, ray, stop, depth_kind, given)
        depths = _depths(depth, shape, stream)
        check(
            library.drr_device_radiance_render(
                self._live().pointer,
                ctypes.byref(camera),
                shape[1],
                shape[0],
                ctypes.byref(options),
                address(picture),
                depths,
                stream_of(stream, rgba),
            )
        )
        return rgba

    def render_rays(
        self,
        origins: Points,
        directions: Points,
        rgba: Out,
        depth: Optional[Out] = None,
        *,
        background: Any = None,
        step: float = 0,
        ray_begin: float = 0,
        ray_end: float = math.inf,
        stop: float = 1e-4,
        scene_depth: Any = None,
        stream: Any = None,
    ) -> Any:
        """`render` for rays of any kind: two eyes, fisheyes, panoramas.

        Args:
            origins: where rays begin, `(..., 3)` on the GPU, without gaps.
            directions: as many, on the GPU; what one of length 0 sees is NaN.
            rgba: receives `(..., 4)`.
            depth: receives `(...)`.
            background, step, ray_begin, ray_end, stop, scene_depth, stream: as for `render`.

        Returns:
            `rgba`.

        Raises:
            As `radiance`.
        """
        where = Coordinates(there(origins, "origins", stream), 3, copies=False)
        if list(where.order) != sorted(where.order):
            raise ArgumentError("origins on the GPU are not in the order of their axes: copy them")
        along = _as_many(there(directions, "directions", stream), where)
        picture = _room(there(rgba, "rgba", stream), "rgba", (*where.shape, 4))
        given = _given(scene_depth, where.shape, stream)
        ray = (ray_begin, ray_end)
        options, _ = options_of(where.shape, background, step, ray, stop, "along_ray", given)
        depths = _depths(depth, where.shape, stream)
        check(
            library.drr_device_radiance_render_rays(
                self._live().pointer,
                ctypes.byref(where.struct),
                ctypes.byref(along.struct),
                ctypes.byref(options),
                address(picture),
                depths,
                stream_of(stream, rgba),
            )
        )
        return rgba


def _as_many(directions: Any, where: Coordinates) -> Coordinates:
    along = Coordinates(directions, 3, copies=False)
    if along.shape != where.shape or along.order != where.order:
        raise ArgumentError(
            f"directions are of shape {(*along.shape, 3)}, expected {(*where.shape, 3)}, in the same "
            "order in memory"
        )
    return along


def _room(array: NumpyArray, name: str, shape: Sequence[Optional[int]]) -> NumpyArray:
    """`_numbers` that can be written."""
    if not array.flags.writeable:
        raise ArgumentError(f"{name} cannot be written")
    return _numbers(array, name, shape)


def _numbers(array: NumpyArray, name: str, shape: Sequence[Optional[int]]) -> NumpyArray:
    """32-bit numbers without gaps, of a shape whose unknown extents are None."""
    wanted = "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"
    fits = array.ndim == len(shape) and all(
        size in (None, found) for size, found in zip(shape, array.shape)
    )
    if array.dtype != np.float32 or not fits or not array.flags.c_contiguous:
        raise ArgumentError(
            f"{name} is {array.dtype} of shape {array.shape}, expected float32 of shape {wanted} "
            "without gaps"
        )
    return array


def _given(scene_depth: Any, shape: tuple[int, ...], stream: Any) -> Optional[NumpyArray]:
    if scene_depth is None:
        return None
    return _numbers(there(scene_depth, "scene_depth", stream), "scene_depth", shape)


def _depths(depth: Any, shape: tuple[int, ...], stream: Any) -> Optional[int]:
    if depth is None:
        return None
    return address(_room(there(depth, "depth", stream), "depth", shape))
