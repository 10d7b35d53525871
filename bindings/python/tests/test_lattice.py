"""Lattices are the same points one by one; their axes are labelled."""

import importlib.util
import unittest
from unittest import mock

import models
import numpy as np

import drr


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
        ):
            self.assertIs(sampler.lattice((4, 5, 6), out=out), out)
            np.testing.assert_array_equal(out, expected)
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


class Xarray(unittest.TestCase):
    def test_it_is_needed_only_when_asked_for(self):
        sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        with mock.patch.dict("sys.modules", xarray=None), self.assertRaises(ImportError):
            sampler.to_xarray((4, 5, 6))

    @unittest.skipUnless(importlib.util.find_spec("xarray"), "no xarray")
    def test_it_has_coordinates_and_units(self):
        sampler = drr.open(models.file(2)).at(models.PARAMETERS)
        found = sampler.to_xarray((4, 5, 6))
        self.assertEqual(found["density"].dims, ("z", "y", "x"))
        self.assertEqual(found["density"].attrs["units"], "g/cm3")
        self.assertEqual(found["x"].attrs["units"], "cm")
        self.assertEqual(found.attrs["time"], 1.3)
        values = sampler.lattice((4, 5, 6))
        np.testing.assert_array_equal(found["density"].values, values[..., 1])


if __name__ == "__main__":
    unittest.main()
