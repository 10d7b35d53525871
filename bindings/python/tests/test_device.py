"""Queries on a GPU: that of tests/cuda/driver.cpp, whose memory is the host's."""

import ctypes
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import dlpack
import models
import numpy as np

import drr

CUDA = Path(__file__).resolve().parents[3] / "tests" / "cuda"
FOLDER = None


def setUpModule():
    """A driver that is found by its name, since it is loaded already."""
    global FOLDER
    if not shutil.which("c++"):
        raise unittest.SkipTest("no C++ compiler")
    try:
        ctypes.CDLL("libcuda.so.1")
        raise unittest.SkipTest("this machine has a driver of its own")
    except OSError:
        pass
    FOLDER = tempfile.TemporaryDirectory()
    driver = Path(FOLDER.name) / "libcuda.so"
    command = ["c++", "-std=c++17", "-O1", "-shared", "-fPIC", "-Wl,-soname,libcuda.so"]
    command += ["-I", str(CUDA), str(CUDA / "driver.cpp"), "-o", str(driver)]
    subprocess.run(command, check=True)
    ctypes.CDLL(str(driver), ctypes.RTLD_GLOBAL)


def tearDownModule():
    if FOLDER:
        FOLDER.cleanup()


class There:
    """An array that only a GPU can read: nothing but its address is told."""

    def __init__(self, array, stream=None, read_only=False):
        self.array = array
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": array.shape,
            "typestr": array.dtype.str,
            "data": (array.__array_interface__["data"][0], read_only),
            "strides": array.strides,
            "stream": stream,
        }


class Device(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = drr.open(models.file(2))
        cls.there = cls.model.to_device(kernel="portable")
        cls.parameters = [0.4] * len(cls.model.parameters)
        cls.cpu = cls.model.at(cls.parameters, units="normalized")
        cls.sampler = cls.there.at(cls.parameters, units="normalized")
        dims = len(cls.model.axes)
        cls.points = np.random.default_rng(1).uniform(-1.1, 1.1, (5, 9, dims))
        cls.tail = (len(cls.model.values),) if len(cls.model.values) > 1 else ()

    def close(self, found, points=None):
        expected = self.cpu(self.points if points is None else points)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def room(self, dtype=np.float64):
        return np.full((5, 9, *self.tail), 7, dtype)

    def test_the_device_is_described(self):
        self.assertEqual(drr.device_count(), 1)
        self.assertEqual(self.there.device, "cuda:0 (Fake GPU)")
        self.assertEqual(self.there.kernel, "portable")
        self.assertGreater(self.there.memory_bytes, 1000)
        self.assertIn("cuda:0", repr(self.there))

    def test_arrays_there_are_used_in_place(self):
        for dtype, kind in ((np.float32, np.float32), (np.float64, np.float16)):
            out = There(self.room(kind))
            given = There(self.points.astype(dtype))
            self.assertIs(self.sampler(given, out=out), out)
            np.testing.assert_allclose(
                out.array.astype(float), self.cpu(self.points), rtol=2e-3, atol=2e-3
            )
        parts = tuple(There(self.points[..., axis]) for axis in range(self.points.shape[-1]))
        out = There(self.room())
        self.sampler(parts, out=out, stream=1)
        self.close(out.array)
        backwards = There(self.room()[::-1, ::-1])
        self.sampler(There(self.points[::-1, ::-1]), out=backwards)
        self.close(backwards.array, self.points[::-1, ::-1])

    def test_arrays_of_the_host_go_there_and_back(self):
        self.close(self.sampler(self.points))
        out = self.room(np.float32)
        self.assertIs(self.sampler(self.points.astype(np.float32), out=out), out)
        self.close(out)

    def test_lattices(self):
        dims = (4, 3, 2)[: len(self.model.axes)]
        expected = self.cpu.lattice(dims)
        out = There(np.zeros(expected.shape, np.float64))
        self.sampler.lattice(dims, out=out)
        np.testing.assert_allclose(out.array, expected, rtol=1e-4, atol=1e-4)
        found = self.sampler.lattice(dims)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    def test_parameters_can_change(self):
        others = [0.9] * len(self.parameters)
        with self.there.at(self.parameters, units="normalized") as sampler:
            sampler.bind(others, stream=2)
            expected = self.model.at(others, units="normalized")(self.points)
            np.testing.assert_allclose(sampler(self.points), expected, rtol=1e-4, atol=1e-4)

    def test_every_point_can_have_its_own_parameters(self):
        rows = np.random.default_rng(2).uniform(0, 1, (5, 9, len(self.parameters)))
        expected = self.model.query(self.points, rows, units="normalized")
        out = There(self.room())
        found = self.there.query(There(self.points), There(rows), out, units="normalized")
        self.assertIs(found, out)
        np.testing.assert_allclose(out.array, expected, rtol=1e-4, atol=1e-4)
        for message, arguments in (
            ("parameters is in memory of the host", (There(self.points), rows, out)),
            ("out is missing", (There(self.points), There(rows), None)),
            ("parameters are for points", (There(self.points[1:]), There(rows), out)),
            (
                "parameters on the GPU",
                (There(self.points[1:, 1:].copy()), There(rows[1:, 1:]), out),
            ),
        ):
            with self.assertRaisesRegex(drr.ArgumentError, message):
                self.there.query(*arguments)

    def test_derivatives(self):
        dims, count = self.points.shape[-1], len(self.parameters)
        expected = self.cpu.gradient(self.points, position=True, parameters=True)
        room = [There(np.zeros((5, 9, *self.tail, *tail))) for tail in ((), (dims,), (count,))]
        values, position, parameters = room
        self.sampler.gradient(There(self.points), position, parameters, values, stream=1)
        for found, wanted in zip(room, expected):
            np.testing.assert_allclose(found.array, wanted, rtol=1e-4, atol=1e-4)
        position.array[...] = 0
        self.sampler.gradient(There(self.points), position)
        np.testing.assert_allclose(position.array, expected.position, rtol=1e-4, atol=1e-4)

        sizes = (4, 3, 2)[:dims]
        expected = self.cpu.lattice_gradient(sizes, parameters=True)
        parameters = There(np.zeros(expected.parameters.shape))
        self.sampler.lattice_gradient(sizes, parameters=parameters)
        np.testing.assert_allclose(parameters.array, expected.parameters, rtol=1e-4, atol=1e-4)
        for message, call in (
            ("points is in memory of the host", lambda: self.sampler.gradient(self.points, position)),
            (
                "position is in memory of the host",
                lambda: self.sampler.gradient(There(self.points), self.points),
            ),
            ("parameters is of shape|parameters", lambda: self.sampler.gradient(
                There(self.points), parameters=position)),
        ):
            with self.assertRaisesRegex(drr.ArgumentError, message):
                call()

    def test_dlpack_is_enough(self):
        def cuda(array, versioned=False):
            return dlpack.Producer(array, device=dlpack.CUDA, versioned=versioned)

        for dtype in (np.float32, np.float64):
            out = self.room()
            self.sampler(cuda(self.points.astype(dtype)), out=cuda(out, True), stream=1)
            self.close(out)
        backwards = self.room()[::-1, ::-1]
        self.sampler(cuda(self.points[::-1, ::-1]), out=cuda(backwards))
        self.close(backwards, self.points[::-1, ::-1])
        parts = tuple(cuda(self.points[..., axis]) for axis in range(self.points.shape[-1]))
        out = self.room()
        self.sampler(parts, out=There(out))
        self.close(out)
        with self.assertRaisesRegex(TypeError, "points"):
            self.sampler(cuda(self.points.astype(np.float16)), out=cuda(out))

    def test_no_points(self):
        none = There(np.zeros((0, self.points.shape[-1])))
        none.__cuda_array_interface__["data"] = (0, False)
        out = There(np.zeros((0, *self.tail)))
        self.assertIs(self.sampler(none, out=out), out)

    def test_what_cannot_be_is_refused(self):
        there, out = There(self.points), There(self.room())
        for message, call in (
            ("out is missing", lambda: self.sampler(there)),
            ("out is in memory of the host", lambda: self.sampler(there, out=self.room())),
            ("equal distances", lambda: self.sampler(There(self.points[::2, ::2]), out=out)),
            ("out is of shape", lambda: self.sampler(there, out=There(self.room()[1:]))),
            ("read-only", lambda: self.sampler(there, out=There(self.room(), read_only=True))),
            ("steps", lambda: self.sampler(There(self.points[1:, 1:].copy()),
                                           out=There(self.room()[1:, 1:]))),
            ("stream is for", lambda: self.sampler(self.points, stream=3)),
            ("partly on the GPU", lambda: self.sampler((there, self.points), out=out)),
            ("kernel is 'other'", lambda: self.model.to_device(kernel="other")),
        ):
            with self.assertRaisesRegex(drr.ArgumentError, message):
                call()
        with self.assertRaisesRegex(TypeError, "stream is a str"):
            self.sampler(there, out=out, stream="0")
        with self.assertRaisesRegex(drr.UnsupportedError, "outside: error"):
            self.there.at(self.parameters, outside="error")
        with self.assertRaisesRegex(drr.NoDeviceError, "device 1 asked for, there are 1"):
            self.model.to_device(1)
        with self.assertRaisesRegex(drr.UnsupportedError, "Model.to_device"):
            self.cpu(there)

    def test_closed_is_closed(self):
        sampler = self.model.to_device(kernel="portable").at(self.parameters)
        sampler.close()
        with self.assertRaisesRegex(drr.ArgumentError, "was closed"):
            sampler(self.points)


class DevicePictures(unittest.TestCase):
    """A radiance field: the star that fills the middle of a box from -1 to 1."""

    to_world = np.array([[1, 0, 0, 0], [0, 0, -1, -4], [0, 1, 0, 0.0]])

    @classmethod
    def setUpClass(cls):
        star = Path(__file__).resolve().parents[3] / "data/radiance/star.drr.safetensors"
        cls.model = drr.open(star)
        cls.cpu = cls.model.at({"t": 0.5})
        cls.sampler = cls.model.to_device().at({"t": 0.5})

    def close(self, found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)

    def test_a_camera(self):
        rgba, depth = np.full((11, 15, 4), 7, np.float32), np.full((11, 15), 7, np.float32)
        given = There(rgba)
        self.assertIs(self.sampler.render(self.to_world, 20, given, There(depth)), given)
        expected = self.cpu.render(self.to_world, 20, (15, 11))
        self.close(rgba, expected.rgba)
        self.close(depth, expected.depth)
        self.assertGreater(rgba[5, 7, 3], 0.9)
        scene = np.full((11, 15), 3.8, np.float32)
        ways = {"background": (1, 0.5, 0), "step": 0.03, "stop": 0.01}
        self.sampler.render(
            self.to_world,
            20,
            There(rgba),
            depth_kind="along_axis",
            scene_depth=There(scene),
            **ways,
        )
        expected = self.cpu.render(
            self.to_world, 20, (15, 11), depth="along_axis", scene_depth=scene, **ways
        )
        self.close(rgba, expected.rgba)

    def test_rays_and_points(self):
        random = np.random.default_rng(3)
        origins, directions = random.uniform(-1, 1, (2, 6, 7, 3))
        rgba, depth = np.full((6, 7, 4), 7, np.float32), np.full((6, 7), 7, np.float32)
        there = There(origins), There(directions)
        self.sampler.render_rays(*there, There(rgba), There(depth))
        expected = self.cpu.render_rays(origins, directions)
        self.close(rgba, expected.rgba)
        colours = np.full((6, 7, 4), 7.0)
        self.sampler.radiance(*there, There(colours))
        self.close(colours, self.cpu.radiance(origins, directions))

    def test_wrong_arrays(self):
        rgba, depth = np.zeros((11, 15, 4), np.float32), np.zeros((11, 15), np.float32)
        for given in (
            (rgba,),
            (There(rgba.astype(np.float64)),),
            (There(rgba[:, ::2]),),
            (There(rgba[..., :3]),),
            (There(rgba, read_only=True),),
            (There(rgba), There(depth[:5])),
            (There(rgba), depth),
        ):
            with self.assertRaises(drr.ArgumentError):
                self.sampler.render(self.to_world, 20, *given)
        rays = np.ones((11, 15, 3))
        turned = np.ones((3, 15, 11)).T
        for origins, directions in ((turned, rays), (rays, turned), (rays, rays[:5])):
            with self.assertRaises(drr.ArgumentError):
                self.sampler.render_rays(There(origins), There(directions), There(rgba))
        with self.assertRaises(drr.ArgumentError):
            self.sampler.radiance(There(rays), There(rays), np.zeros((11, 15, 4)))
        other = drr.open(models.file(2))
        parameters = [0.4] * len(other.parameters)
        sampler = other.to_device().at(parameters, units="normalized")
        with self.assertRaises(drr.ArgumentError):
            sampler.render(self.to_world, 20, There(rgba))


if __name__ == "__main__":
    unittest.main()
