"""Arrays of any layout and type are taken as they are; what cannot be taken is refused clearly."""

import unittest
from unittest import mock

import models
import numpy as np

import drr
from drr import _inputs, _results


class Layouts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        cls.points = models.points(24)
        cls.expected = cls.sampler(cls.points)

    def same(self, points, expected=None, copies=False):
        """The same values as from packed points, without copies of the points."""
        expected = self.expected if expected is None else expected
        with mock.patch.object(_inputs.np, "array", wraps=np.array) as copied:
            found = self.sampler(points)
        self.assertEqual(copied.called, copies)
        np.testing.assert_array_equal(found, expected)

    def test_strides(self):
        wide = np.full((24, 7), np.nan)
        wide[:, 1:6:2] = self.points
        self.same(wide[:, 1:6:2])
        self.same(np.asfortranarray(self.points))
        self.same(self.points[::-1], self.expected[::-1])
        self.same(self.points[:, ::-1].copy()[:, ::-1])
        self.same(self.points[::3], self.expected[::3])
        self.same(self.points[:1], self.expected[:1])
        self.same(self.points[5], self.expected[5])
        fixed = self.points.copy()
        fixed.flags.writeable = False
        self.same(fixed)

    def test_unaligned_records(self):
        records = np.zeros(24, [("tag", "u1"), ("x", "3f8"), ("value", "2f8")])
        records["x"] = self.points
        self.same(records["x"])
        self.sampler(records["x"], out=records["value"])
        np.testing.assert_array_equal(records["value"], self.expected)
        np.testing.assert_array_equal(records["x"], self.points)

    def test_unaligned_arrays_without_gaps(self):
        memory = np.zeros(self.points.nbytes + 1, np.uint8)
        points = memory[1:].view(np.float64).reshape(24, 3)
        points[...] = self.points
        self.assertFalse(points.flags.aligned)
        self.same(points)
        memory = np.zeros(self.expected.nbytes + 1, np.uint8)
        out = memory[1:].view(np.float64).reshape(24, 2)
        self.assertIs(self.sampler(self.points, out=out), out)
        np.testing.assert_array_equal(out, self.expected)

    def test_separate_arrays(self):
        self.same(tuple(self.points.T))
        self.same(tuple(self.points.T.copy()))
        x, y, z = (self.points[:, k].copy() for k in range(3))
        self.same((x[::-1].copy()[::-1], np.repeat(y, 2)[::2], z))
        plane = np.broadcast_to(5.5, 24)
        packed = self.sampler(np.stack([x, y, plane], axis=-1))
        self.same((x, y, plane), packed)
        self.assertEqual(self.sampler((x[0], y[0], z[0])).shape, (2,))

    def test_axes_in_any_order(self):
        for shape in ((4, 6, 3), (2, 3, 4, 3)):
            points = self.points.reshape(shape)
            expected = self.expected.reshape(*shape[:-1], 2)
            self.same(points, expected)
            self.same(np.asfortranarray(points), expected)
            back = (slice(None, None, -1),) * (len(shape) - 1)
            self.same(points[back], expected[back])
            order = (*reversed(range(len(shape) - 1)), len(shape) - 1)
            self.same(points.transpose(order), expected.transpose(order))
            self.same(tuple(np.asfortranarray(points[..., k]) for k in range(3)), expected)
            turned = (*range(1, len(shape) - 1), 0, len(shape) - 1)
            self.same(points.transpose(turned), expected.transpose(turned))
        grid = self.points.reshape(4, 6, 3)
        # What the ABI has no words for is copied: two steps.
        self.same(grid[:, 1:5], self.expected.reshape(4, 6, 2)[:, 1:5], copies=True)

    def test_what_was_broadcast_is_not_copied(self):
        same = np.broadcast_to(self.points[7], (4, 5, 3))
        self.same(same, np.broadcast_to(self.expected[7], (4, 5, 2)))
        plane = np.broadcast_to(np.float64(5.5), (6, 4))
        x, y = (np.asfortranarray(self.points[:, k].reshape(6, 4)) for k in (0, 1))
        packed = self.sampler(np.stack([x, y, plane], axis=-1))
        self.same((x, y, plane), packed)
        # The order in memory is that of the arrays that have one.
        packed = self.sampler(np.stack([plane, y, x], axis=-1))
        self.same((plane, y, x), packed)

    def test_results_in_separate_arrays(self):
        for make in (
            lambda: (np.empty(24), np.empty(24)),
            lambda: tuple(np.zeros((24, 5))[:, 1:4:2].T),
            lambda: tuple(np.empty((2, 24), np.float32)[:, ::-1]),
        ):
            with mock.patch.object(_results.np, "empty", wraps=np.empty) as copied:
                out = make()
                before = copied.call_count
                self.assertIs(self.sampler(self.points, out=out), out)
                self.assertEqual(copied.call_count, before)
            for k in range(2):
                np.testing.assert_array_equal(out[k], self.expected[:, k].astype(out[k].dtype))
        # Different steps go through a copy.
        out = (np.empty(24), np.empty(48)[::2])
        self.sampler(self.points, out=out)
        np.testing.assert_array_equal(np.stack(out, -1), self.expected)
        turned = self.points.reshape(4, 6, 3).transpose(1, 0, 2)
        out = (np.empty((6, 4)), np.empty((4, 6)).T)
        self.sampler(turned, out=out)
        expected = self.expected.reshape(4, 6, 2).transpose(1, 0, 2)
        np.testing.assert_array_equal(np.stack(out, -1), expected)
        one = drr.open(models.file(1)).at(models.PARAMETERS)
        (found,) = one(self.points, out=(np.empty(24),))
        np.testing.assert_array_equal(found, one(self.points))

    def test_parts_of_larger_arrays(self):
        grid = self.points.reshape(4, 6, 3)
        wide = np.full((6, 8, 2), 7.0)
        self.assertIsInstance(self.sampler(grid, out=wide[1:5, 1:7]), np.ndarray)
        np.testing.assert_array_equal(wide[1:5, 1:7], self.expected.reshape(4, 6, 2))
        wide[1:5, 1:7] = 7
        self.assertTrue((wide == 7).all())

    def test_out_of_any_layout(self):
        def check(out):
            self.assertIs(self.sampler(self.points.reshape((*out.shape[:-1], 3)), out=out), out)
            expected = self.expected.reshape(out.shape)
            if out.dtype != np.float64:
                np.testing.assert_allclose(out, expected, rtol=1e-3)
            else:
                np.testing.assert_array_equal(out, expected)

        check(np.empty((24, 2)))
        check(np.empty((24, 2), np.float32))
        check(np.empty((24, 2), np.float16))
        check(np.empty((24, 2))[::-1])
        check(np.empty((24, 2))[:, ::-1])
        check(np.empty((2, 24)).T)
        check(np.empty((4, 6, 2), order="F"))
        wide = np.full((4, 12, 5), 7.0)
        check(wide[:, ::2, 1:3])
        self.assertTrue((wide[:, 1::2] == 7).all() and (wide[..., [0, 3, 4]] == 7).all())

    def test_types(self):
        single = self.points.astype(np.float32)
        found = self.sampler(single)
        self.assertEqual(found.dtype, np.float32)
        np.testing.assert_allclose(found, self.expected, rtol=1e-4)
        half = self.sampler(single, dtype=np.float16)
        np.testing.assert_array_equal(half, found.astype(np.float16))
        double = self.sampler(single, dtype="float64")
        np.testing.assert_array_equal(double.astype(np.float32), found)
        np.testing.assert_array_equal(self.sampler(self.points.tolist()), self.expected)
        self.assertEqual(self.sampler([1, 0, 5]).shape, (2,))

    def test_nothing_gives_nothing(self):
        self.assertEqual(self.sampler(np.empty((0, 3))).shape, (0, 2))
        self.assertEqual(self.sampler(np.empty((4, 0, 3))).shape, (4, 0, 2))
        self.assertEqual(self.sampler((np.empty(0),) * 3).shape, (0, 2))
        self.assertEqual(self.sampler.lattice((4, 0, 2)).shape, (2, 0, 4, 2))

    def test_threads_get_identical_results(self):
        from concurrent.futures import ThreadPoolExecutor

        points = models.points(5000)
        expected = self.sampler(points)
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(self.sampler, [points] * 16):
                np.testing.assert_array_equal(found, expected)


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        cls.points = models.points(24)

    def test_types(self):
        cases = {
            "astype\\('float64'\\)": self.points.astype(self.points.dtype.newbyteorder()),
            "float32 or float64": self.points.astype(np.float16),
            "int64": np.zeros((4, 3), np.int64),
            "complex": self.points.astype(complex),
            "array\\['x'\\], array\\['y'\\]": np.zeros(4, [("x", "f4"), ("y", "f4"), ("z", "f4")]),
            "tuple": [np.zeros(3)] * 3,
            "equal ones": (np.zeros(3), np.zeros(3), np.zeros(3, np.float32)),
        }
        for message, points in cases.items():
            with self.assertRaisesRegex(TypeError, message):
                self.sampler(points)
        for out in (np.zeros((24, 2), int), np.zeros((24, 2), ">f4"), [[0.0, 0.0]] * 24):
            with self.assertRaisesRegex(TypeError, "out"):
                self.sampler(self.points, out=out)
        with self.assertRaisesRegex(TypeError, "dtype"):
            self.sampler(self.points, dtype=int)
        with self.assertRaisesRegex(TypeError, "one of them"):
            self.sampler(self.points, out=np.zeros((24, 2)), dtype=np.float32)

    def test_shapes(self):
        for points in (np.float64(1), np.zeros(4), np.zeros((3, 4)), (np.zeros(3),) * 2):
            with self.assertRaisesRegex(drr.ArgumentError, "expected"):
                self.sampler(points)
        with self.assertRaisesRegex(drr.ArgumentError, "equal"):
            self.sampler((np.zeros(3), np.zeros(3), np.zeros(4)))
        with self.assertRaisesRegex(drr.ArgumentError, r"\(24,\), expected \(24, 2\)"):
            self.sampler(self.points, out=np.zeros(24))

    def test_results_that_cannot_be_written(self):
        fixed = np.zeros((24, 2))
        fixed.flags.writeable = False
        with self.assertRaisesRegex(drr.ArgumentError, "read-only"):
            self.sampler(self.points, out=fixed)
        memory = np.zeros(100)
        for strides in ((0, 8), (8, 8)):
            one = np.lib.stride_tricks.as_strided(memory, (24, 2), strides)
            with self.assertRaisesRegex(drr.ArgumentError, "share memory"):
                self.sampler(self.points, out=one)
        points = self.points.copy()
        with self.assertRaisesRegex(drr.ArgumentError, "shares memory with the points"):
            self.sampler(points, out=points[:, :2])
        with self.assertRaisesRegex(drr.ArgumentError, "shares memory with the points"):
            self.sampler(points, out=points.ravel()[:48].reshape(24, 2))
        np.testing.assert_array_equal(points, self.points)

    def test_separate_arrays_that_cannot_be_written(self):
        two = np.zeros(24), np.zeros(24)
        cases = {
            "tuple of 3, expected 2": (*two, np.zeros(24)),
            r"out\[1\] is of shape \(23,\), expected \(24,\)": (two[0], np.zeros(23)),
            "share memory with one another": (two[0], two[0]),
            "shares memory with the points": (two[0], self.points[:, 1]),
        }
        for message, out in cases.items():
            with self.assertRaisesRegex(drr.ArgumentError, message):
                self.sampler(self.points, out=out)
        with self.assertRaisesRegex(TypeError, "expected equal ones"):
            self.sampler(self.points, out=(two[0], np.zeros(24, np.float32)))
        with self.assertRaisesRegex(TypeError, r"out\[0\] is a list"):
            self.sampler(self.points, out=([0.0] * 24, two[1]))
        sampler = self.sampler
        with self.assertRaisesRegex(drr.ArgumentError, "share memory with one another"):
            both = np.zeros((24, 2, 4))
            sampler.gradient(self.points, values=both[..., 0], position=both[..., :3])


if __name__ == "__main__":
    unittest.main()
