"""Radiance fields: densities and colours at points, pictures."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np

from . import _abi
from ._arrays import DType, NumpyArray, Out, Points, address, numbers
from ._description import choice
from ._errors import ArgumentError
from ._handle import Closable
from ._inputs import Coordinates
from ._library import check, library
from ._results import Results, Rows, refuse_overlaps, result_type


class Picture(NamedTuple):
    """What is seen along rays: red, green, blue, opacity; and how far away it is."""

    rgba: NumpyArray
    depth: NumpyArray


class RadianceSampler(Closable):
    """What a sampler of a radiance field answers beside values."""

    def radiance(
        self, points: Points, directions: Points, out: Optional[Out] = None, dtype: DType = None
    ) -> Any:
        """Density, red, green and blue at points, each seen along a direction.

        Args:
            points: as for `query`. The density is 0 outside the domain.
            directions: as many, of the same shape, or one `(3,)` for all; away from the eye, of any
                length but 0.
            out: float32, float64 or float16 array `(..., 4)` to be written and returned.
            dtype: type of a new result; that of the points if not given.

        Returns:
            `(..., 4)`

        Raises:
            ArgumentError: shapes do not fit, a direction is 0, or the model is no radiance field.
        """
        where = Coordinates(points, 3)
        along = _directions(directions, where)
        kind = result_type(dtype, where.dtype if out is None else None)
        results = Results(out, Rows(where.shape, where.order), (4,), kind)
        refuse_overlaps([results], [*where.given, *along.given])
        struct = results.values()
        handle = self._live()
        check(
            library.drr_radiance_query(
                handle.pointer,
                ctypes.byref(where.struct),
                ctypes.byref(along.struct),
                ctypes.byref(struct),
            )
        )
        return results.finish()

    def render(
        self,
        to_world: Any,
        focal: Any,
        size: Sequence[int],
        *,
        centre: Any = None,
        background: Any = None,
        step: float = 0,
        ray_begin: float = 0,
        ray_end: float = math.inf,
        stop: float = 1e-4,
        depth: str = "along_ray",
        scene_depth: Any = None,
    ) -> Picture:
        """A picture as a pinhole camera sees it: x right, y up, looks along -z (OpenGL, NeRF).

        Args:
            to_world: from the camera's coordinates to the model's, `(3, 4)` or `(4, 4)`.
            focal: focal length in pixels, or one for each direction `(horizontal, vertical)`.
            size: pixels, `(width, height)`.
            centre: where the camera's axis meets the picture, in pixels from its upper left corner;
                the middle if not given.
            background: red, green, blue of what is behind; the picture is opaque then. Without it
                colours are premultiplied by the opacity.
            step: distance of samples along a ray; 0: the one that the model was trained with.
            ray_begin, ray_end: where rays begin and end, along the ray.
            stop: a ray ends when less than this part of the light passes.
            depth: how depths are measured, those given and those returned: `"along_ray"`, or
                `"along_axis"`, as depth buffers have them.
            scene_depth: float32 `(height, width)`: where rays end at something else.

        Returns:
            A tuple `(rgba, depth)` of float32 arrays `(height, width, 4)` and `(height, width)`.

        Raises:
            ArgumentError: arguments make no sense, or the model is no radiance field.
        """
        width, height = pixels_of(size)
        camera = camera_of(to_world, focal, (width, height), centre)
        options, held = options_of(
            (height, width), background, step, (ray_begin, ray_end), stop, depth, scene_depth
        )
        rgba, depths = _picture((height, width))
        check(
            library.drr_radiance_render(
                self._live().pointer,
                ctypes.byref(camera),
                width,
                height,
                ctypes.byref(options),
                address(rgba),
                address(depths),
            )
        )
        del held
        return Picture(rgba, depths)

    def render_rays(
        self,
        origins: Points,
        directions: Points,
        *,
        background: Any = None,
        step: float = 0,
        ray_begin: float = 0,
        ray_end: float = math.inf,
        stop: float = 1e-4,
        scene_depth: Any = None,
    ) -> Picture:
        """`render` for rays of any kind: two eyes, fisheyes, panoramas.

        Args:
            origins: where rays begin, as points of `query`: `(..., 3)`.
            directions: where they go, of the same shape, or one for all; of any length but 0.
            background, step, ray_begin, ray_end, stop: as for `render`.
            scene_depth: float32 `(...)`: where rays end at something else.

        Returns:
            A tuple `(rgba, depth)` of float32 arrays `(..., 4)` and `(...)`.

        Raises:
            As `render`.
        """
        where = Coordinates(np.ascontiguousarray(_stacked(origins)), 3)
        along = _directions(directions, where)
        options, held = options_of(
            where.shape, background, step, (ray_begin, ray_end), stop, "along_ray", scene_depth
        )
        rgba, depths = _picture(where.shape)
        check(
            library.drr_radiance_render_rays(
                self._live().pointer,
                ctypes.byref(where.struct),
                ctypes.byref(along.struct),
                ctypes.byref(options),
                address(rgba),
                address(depths),
            )
        )
        del held
        return Picture(rgba, depths)


def _stacked(points: Points) -> NumpyArray:
    """Points in one array `(..., 3)`."""
    if not isinstance(points, tuple):
        return numbers(points, "origins")
    return np.stack([numbers(given, "origins") for given in points], axis=-1)


def _directions(directions: Points, where: Coordinates) -> Coordinates:
    """As many as there are points, walked in the same order."""
    along = Coordinates(directions, 3)
    if along.shape == () and where.shape != ():
        given = [np.broadcast_to(array, where.shape) for array in along.given]
        along = Coordinates(tuple(given), 3)
    if along.shape != where.shape:
        raise ArgumentError(
            f"directions are of shape {(*along.shape, 3)}, expected {(*where.shape, 3)}, or (3,): "
            "one for all"
        )
    if along.order != where.order:
        arrays = [array.transpose(where.order) for array in along.given]
        along = Coordinates(tuple(np.array(array, order="C") for array in arrays), 3)
    return along


def _picture(shape: tuple[int, ...]) -> tuple[NumpyArray, NumpyArray]:
    return np.empty((*shape, 4), np.float32), np.empty(shape, np.float32)


def pixels_of(size: Sequence[int]) -> tuple[int, int]:
    """Width and height.

    Raises:
        ArgumentError: they are negative.
    """
    width, height = (int(count) for count in size)
    if width < 0 or height < 0:
        raise ArgumentError(f"size is ({width}, {height}), expected numbers of pixels")
    return width, height


def camera_of(to_world: Any, focal: Any, size: tuple[int, int], centre: Any) -> _abi.Camera:
    """The struct.

    Raises:
        ArgumentError: the matrix has another shape.
    """
    matrix = np.asarray(to_world, np.float64)
    if matrix.shape not in ((3, 4), (4, 4)):
        raise ArgumentError(f"to_world is of shape {matrix.shape}, expected (3, 4) or (4, 4)")
    lengths = np.broadcast_to(np.asarray(focal, np.float64), 2)
    middle = [count / 2 for count in size] if centre is None else centre
    x, y = (float(number) for number in middle)
    flat = (ctypes.c_double * 12)(*matrix[:3].ravel())
    return _abi.Camera(0, flat, float(lengths[0]), float(lengths[1]), x, y)


def options_of(
    shape: tuple[int, ...],
    background: Any,
    step: float,
    ray: tuple[float, float],
    stop: float,
    depth: str,
    scene_depth: Any,
) -> tuple[_abi.RadianceOptions, Optional[NumpyArray]]:
    """The struct, and the array that it points into; `scene_depth` is copied if it has gaps.

    Raises:
        ArgumentError: numbers make no sense, or the array is of another shape.
    """
    if ray[1] == 0 or stop == 0:
        raise ArgumentError(f"ray_end is {ray[1]} and stop {stop}, expected numbers above 0")
    behind = (0, 0, 0) if background is None else tuple(background)
    if len(behind) != 3:
        raise ArgumentError(f"background has {len(behind)} numbers, expected red, green, blue")
    held: Optional[NumpyArray] = None
    if scene_depth is not None:
        held = np.ascontiguousarray(scene_depth, np.float32)
        if held.shape != shape:
            raise ArgumentError(f"scene_depth is of shape {held.shape}, expected {shape}")
    options = _abi.RadianceOptions(
        choice(_abi.RADIANCE, "premultiplied" if background is None else "opaque", "output"),
        choice(_abi.DEPTH, depth, "depth"),
        0,
        step,
        *ray,
        stop,
        (ctypes.c_double * 3)(*behind),
        None if held is None or held.size == 0 else address(held),
    )
    return options, held
