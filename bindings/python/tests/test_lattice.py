"""Lattices are the same points one by one; their arrays may be parts of others."""

import unittest
from unittest import mock

import models
import numpy as np

import drr
from drr import _results


class Lattices(unittest.TestCase):
    def check(self, sampler, values, coords, **options):
        """Values at the points that the coordinates say."""
        self.assertEqual(values.shape[: len(coords)], tuple(map(len, coords.values())))
        mesh = np.meshgrid(*coords.values(), indexing="ij")
        expected = sampler(tuple(reversed(mesh)))
        np.testing.assert_allclose(values, expected, **{"atol": 1e-5, **options})

    def test_whole_domain(self):
        for values in (1, 2):
            with drr.open(models.file(values)) as model:
                sampler = model.at(models.PARAMETERS)
                found = sampler.lattice((4, 5, 6))
                self.assertEqual(found.dtype, np.float32)
                self.assertTrue(found.flags.c_contiguous)
                coords = sampler.lattice_coords((4, 5, 6))
                self.assertEqual(list(coords), ["z", "y", "x"])
                np.testing.assert_allclose(coords["y"], np.linspace(-1, 2, 5))
                self.check(sampler, found, coords)

    def test_ranges(self):
        sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        dims = (7, 3, 1)
        for ranges in ({"z": 5.25, "x": (8, 2)}, [(8, 2), None, 5.25]):
            found = sampler.lattice(dims, ranges, dtype=np.float64)
            coords = sampler.lattice_coords(dims, ranges)
            np.testing.assert_allclose(coords["x"], np.linspace(8, 2, 7))
            np.testing.assert_array_equal(coords["z"], [5.25])
            self.check(sampler, found, coords)

    def test_origin_and_spacing(self):
        sampler = drr.open(models.file(1, 2)).at(models.PARAMETERS)
        where = {"origin": (1, 2.0), "spacing": (0.5, -0.25)}
        found = sampler.lattice((4, 5), **where)
        coords = sampler.lattice_coords((4, 5), **where)
        np.testing.assert_array_equal(coords["y"], [2, 1.75, 1.5, 1.25, 1])
        self.check(sampler, found, coords)

    def test_normalized(self):
        sampler = drr.open(models.file()).at((0.5, 0.5), units="normalized")
        coords = sampler.lattice_coords((3, 3, 3))
        np.testing.assert_array_equal(coords["x"], [-1, 0, 1])
        self.check(sampler, sampler.lattice((3, 3, 3)), coords)

    def test_out(self):
        sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        expected = sampler.lattice((4, 5, 6))
        for out in (
            np.empty((6, 5, 4, 2), np.float32),
            np.empty((6, 5, 4, 3), np.float32)[..., ::2],
            np.empty((6, 5, 4, 2), np.float32)[::-1, ::-1, ::-1],
            np.empty((6, 5, 4, 2), np.float32, order="F"),
            np.empty((6, 10, 4, 2), np.float32)[:, ::2],
            np.empty((8, 7, 6, 2), np.float32)[1:-1, 1:-1, 1:-1],
            np.empty((2, 6, 5, 4), np.float32).transpose(1, 2, 3, 0),
            np.empty((5, 6, 9, 2), np.float32)[:, ::-1, ::-2][:, :, :4].transpose(1, 0, 2, 3),
        ):
            with mock.patch.object(_results.np, "empty", wraps=np.empty) as copied:
                self.assertIs(sampler.lattice((4, 5, 6), out=out), out)
            self.assertFalse(copied.called)
            np.testing.assert_array_equal(out, expected)
        # Slices: axes of one point have whatever stride.
        for dims in ((1, 5, 6), (4, 1, 6), (4, 5, 1), (1, 1, 6)):
            where = {"origin": (1, 0, 5), "spacing": (1, 0.1, 0.1)}
            ghosts = np.full((9, 9, 9, 3), 7, np.float32)
            nx, ny, nz = dims
            out = ghosts[2 : 2 + nz, 2 : 2 + ny, 2 : 2 + nx, ::2]
            sampler.lattice(dims, **where, out=out)
            np.testing.assert_array_equal(out, sampler.lattice(dims, **where))
            out[...] = 7
            self.assertTrue((ghosts == 7).all())

    def test_separate_arrays(self):
        sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        expected = sampler.lattice((4, 5, 6))
        for out in (
            tuple(np.empty((2, 6, 5, 4), np.float32)),
            tuple(np.empty((2, 8, 7, 6), np.float32)[:, 1:-1, 1:-1, 1:-1]),
            tuple(np.empty((2, 6, 7, 8), np.float32)[:, :4, :5].transpose(0, 3, 2, 1)[:, :6]),
        ):
            self.assertIs(sampler.lattice((4, 5, 6), out=out), out)
            np.testing.assert_array_equal(np.stack(out, -1), expected)
        two = drr.open(models.file(2, 2)).at(models.PARAMETERS)
        out = tuple(np.empty((2, 7, 6), np.float32)[:, 1:-1, 1:-1])
        two.lattice((4, 5), out=out)
        np.testing.assert_array_equal(np.stack(out, -1), two.lattice((4, 5)))
        half = sampler.lattice((4, 5, 6), dtype=np.float16)
        np.testing.assert_array_equal(half, expected.astype(np.float16))

    def test_wrong_arguments(self):
        sampler = drr.open(models.file()).at(models.PARAMETERS)
        cases = [
            ("one number per axis", (4, 5), None, {}),
            ("one number per axis", 4, None, {}),
            ("numbers of points", (4, -1, 4), None, {}),
            ("no axis is named 'w'", (4, 4, 4), {"w": 1}, {}),
            ("2 ranges, expected 3", (4, 4, 4), [None, None], {}),
            ("the range of x is", (4, 4, 4), {"x": (1, 2, 3)}, {}),
            ("z is one number", (4, 4, 4), {"z": 5.5}, {}),
            ("z has one point", (4, 4, 1), None, {}),
            ("both origin and spacing", (4, 4, 4), None, {"origin": (0, 0, 0)}),
            ("either", (4, 4, 4), [None] * 3, {"origin": (0, 0, 0), "spacing": (1, 1, 1)}),
            ("too many|memory|large", (2**40, 2**40, 1), {"z": 5}, {}),
        ]
        for message, dims, ranges, more in cases:
            with self.assertRaisesRegex((ValueError, MemoryError), message):
                sampler.lattice(dims, ranges, **more)
        with self.assertRaises(TypeError):
            sampler.lattice((4.0, 4, 4))

    def test_outside(self):
        sampler = drr.open(models.file()).at(models.PARAMETERS, outside="error")
        sampler.lattice((4, 4, 4))
        with self.assertRaises(drr.OutsideDomainError):
            sampler.lattice((4, 4, 4), {"x": (0, 11)})


if __name__ == "__main__":
    unittest.main()
