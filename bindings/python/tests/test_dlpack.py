"""Arrays of other libraries are taken without copies; memory of devices is refused."""

import ctypes
import importlib.util
import unittest

import dlpack
import models
import numpy as np

import drr

# Whether this numpy writes to what comes by DLPack.
WRITES = np.from_dlpack(np.zeros(1)).flags.writeable


class Interface:
    """An array that numpy knows by its interface alone."""

    def __init__(self, array):
        self.__array_interface__ = array.__array_interface__
        self.array = array


class Cuda:
    __cuda_array_interface__ = {  # noqa: RUF012
        "shape": (24, 3),
        "typestr": "<f8",
        "data": (1 << 40, False),
        "version": 3,
    }


class Others(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = drr.open(models.file(2))
        cls.sampler = cls.model.at(models.PARAMETERS)
        cls.points = models.points(24)
        cls.expected = cls.sampler(cls.points)

    def test_points(self):
        wide = np.full((24, 7), np.nan)
        wide[:, 1:6:2] = self.points
        for points in (self.points, wide[:, 1:6:2], np.asfortranarray(self.points)):
            for options in ({}, {"read_only": True}, {"versioned": False}):
                given = dlpack.Producer(points, **options)
                np.testing.assert_array_equal(self.sampler(given), self.expected)
                self.assertEqual(given.lent, 0)
        given = tuple(dlpack.Producer(axis, read_only=True) for axis in self.points.T)
        np.testing.assert_array_equal(self.sampler(given), self.expected)
        np.testing.assert_array_equal(self.sampler(Interface(self.points)), self.expected)
        pinned = dlpack.Producer(self.points, device=dlpack.CUDA_HOST)
        np.testing.assert_array_equal(self.sampler(pinned), self.expected)
        numbers = (ctypes.c_double * 72)(*self.points.ravel())
        view = memoryview(numbers).cast("B").cast("d", (24, 3))
        np.testing.assert_array_equal(self.sampler(view), self.expected)

    def test_parameters(self):
        sampler = self.model.at(dlpack.Producer(np.array(models.PARAMETERS), read_only=True))
        np.testing.assert_array_equal(sampler(self.points), self.expected)
        rows = np.tile(models.PARAMETERS, (24, 1))
        given = dlpack.Producer(rows, read_only=True)
        found = self.model.query(self.points, given)
        np.testing.assert_array_equal(found, self.model.query(self.points, rows))
        found = self.model.query_sets(self.points, dlpack.Producer(rows[:1]))
        np.testing.assert_array_equal(found[0], self.expected)

    def test_out(self):
        out = np.zeros((24, 2))
        self.sampler(self.points, out=Interface(out))
        np.testing.assert_array_equal(out, self.expected)
        given = dlpack.Producer(np.zeros((24, 4))[:, ::2])
        if not WRITES:
            with self.assertRaisesRegex(drr.ArgumentError, "numpy before 2.1"):
                self.sampler(self.points, out=given)
            return
        self.assertIs(self.sampler(self.points, out=given), given)
        np.testing.assert_array_equal(given.array, self.expected)
        self.assertEqual(given.lent, 0)
        separate = tuple(dlpack.Producer(np.zeros(24)) for _ in range(2))
        self.sampler(self.points, out=separate)
        np.testing.assert_array_equal(separate[1].array, self.expected[:, 1])
        volume = dlpack.Producer(np.zeros((3, 4, 5, 2), np.float32))
        self.sampler.lattice((5, 4, 3), out=volume)
        np.testing.assert_array_equal(volume.array, self.sampler.lattice((5, 4, 3)))
        fixed = dlpack.Producer(np.zeros((24, 2)), read_only=True)
        with self.assertRaisesRegex(drr.ArgumentError, "read-only"):
            self.sampler(self.points, out=fixed)
        self.assertEqual((fixed.lent, fixed.array.any()), (0, False))

    def test_out_is_never_a_copy(self):
        class Copies(dlpack.Producer):
            def __array__(self, dtype=None, copy=None):
                return self.array.copy()

        given = Copies(np.zeros((24, 2)))
        if WRITES:
            self.sampler(self.points, out=given)
            np.testing.assert_array_equal(given.array, self.expected)

        class OnlyCopies:
            def __array__(self, dtype=None, copy=None):
                return np.zeros((24, 2))

        with self.assertRaisesRegex(TypeError, "out is a OnlyCopies"):
            self.sampler(self.points, out=OnlyCopies())

    @unittest.skipUnless(importlib.util.find_spec("array_api_strict"), "no array-api-strict")
    def test_a_real_library(self):
        import array_api_strict

        points = array_api_strict.asarray(self.points)
        np.testing.assert_array_equal(self.sampler(points), self.expected)

    def test_memory_of_devices(self):
        for given in (Cuda(), dlpack.Producer(self.points, device=dlpack.CUDA)):
            message = "points lie .*Model.to_device.* copy them to the host"
            with self.assertRaisesRegex(drr.UnsupportedError, message):
                self.sampler(given)
            with self.assertRaisesRegex(drr.UnsupportedError, r"points\[1\] lie"):
                self.sampler((self.points[:, 0], given, self.points[:, 2]))
            with self.assertRaisesRegex(drr.UnsupportedError, "out lie"):
                self.sampler(self.points, out=given)
            with self.assertRaisesRegex(drr.UnsupportedError, "parameters lie"):
                self.model.query(self.points, given)
            with self.assertRaisesRegex(drr.UnsupportedError, "parameters lie"):
                self.model.at(given)

    def test_what_a_library_refuses_to_show(self):
        class Refuses(dlpack.Producer):
            def __dlpack__(self, **_):
                raise BufferError("it requires a gradient")

        with self.assertRaisesRegex(TypeError, "points cannot be read .* requires a gradient"):
            self.sampler(Refuses(self.points))


if __name__ == "__main__":
    unittest.main()
