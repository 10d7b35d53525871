"""Lattices as datasets of xarray; the package does without it and without anything but numpy."""

import importlib
import importlib.util
import subprocess
import sys
import unittest

import models
import numpy as np

import drr

xarray = importlib.import_module("xarray") if importlib.util.find_spec("xarray") else None

ALONE = """
import importlib.abc, sys
class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in ("xarray", "pandas", "torch"):
            raise ImportError(f"no {name} here")
sys.meta_path.insert(0, Refuse())
import numpy as np
import drr
sampler = drr.open(sys.argv[1]).at({"time": 1, "speed": 15})
assert sampler.lattice((3, 4, 5)).shape == (5, 4, 3, 2)
assert sampler.gradient(np.zeros((7, 3))).position.shape == (7, 2, 3)
try:
    sampler.to_xarray((3, 4, 5))
except ImportError as error:
    print(error)
"""


class Alone(unittest.TestCase):
    def test_numpy_is_enough(self):
        command = [sys.executable, "-W", "error", "-c", ALONE, str(models.file(2))]
        result = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("to_xarray needs xarray", result.stdout)

    def test_it_is_not_imported_unasked(self):
        program = "import drr, sys; print('xarray' in sys.modules)"
        command = [sys.executable, "-c", program]
        self.assertEqual(subprocess.check_output(command, text=True), "False\n")


@unittest.skipUnless(xarray, "xarray is not installed")
class Datasets(unittest.TestCase):
    def setUp(self):
        self.model = drr.open(models.file(2))
        self.sampler = self.model.at(models.PARAMETERS)

    def test_it_has_coordinates_units_and_parameters(self):
        found = self.sampler.to_xarray((4, 5, 6), {"x": (1, 7)})
        self.assertEqual(set(found.data_vars), {"energy", "density"})
        self.assertEqual(found["density"].dims, ("z", "y", "x"))
        self.assertEqual(found["density"].attrs["units"], "g/cm3")
        self.assertEqual(found["density"].dtype, np.float32)
        self.assertTrue(found["density"].values.flags.c_contiguous)
        self.assertEqual(found["x"].attrs["units"], "cm")
        np.testing.assert_array_equal(found["x"], [1, 3, 5, 7])
        self.assertEqual((found["time"].item(), found["time"].attrs["units"]), (1.3, "s"))
        values = self.sampler.lattice((4, 5, 6), {"x": (1, 7)})
        np.testing.assert_array_equal(found["energy"].values, values[..., 0])
        np.testing.assert_array_equal(found["density"].values, values[..., 1])

    def test_models_of_one_value_and_two_axes(self):
        sampler = drr.open(models.file(1, 2)).at(models.PARAMETERS)
        found = sampler.to_xarray((4, 5), dtype=np.float64)
        self.assertEqual(found["energy"].dims, ("y", "x"))
        np.testing.assert_array_equal(found["energy"], sampler.lattice((4, 5), dtype="f8"))

    def test_parameters_become_an_axis(self):
        times = (0.5, 2.0)
        found = xarray.concat(
            [self.model.at((time, 15)).to_xarray((3, 3, 3)) for time in times], dim="time"
        )
        self.assertEqual(found["energy"].dims, ("time", "z", "y", "x"))
        np.testing.assert_array_equal(found["time"], times)

    def test_names_that_clash(self):
        spec = models.box(1)
        spec["parameters"][0]["name"] = "energy"
        found = opened(spec).at(models.PARAMETERS).to_xarray((2, 2, 2))
        self.assertEqual(found.attrs, {"energy": 1.3})
        self.assertEqual(found["energy"].shape, (2, 2, 2))
        spec["values"][0]["name"] = "y"
        with self.assertRaisesRegex(drr.ArgumentError, "share names"):
            opened(spec).at(models.PARAMETERS).to_xarray((2, 2, 2))

    def test_normalized_numbers_have_no_units(self):
        found = self.model.at((0.5, 0.5), units="normalized").to_xarray((2, 2, 2))
        for name in ("x", "energy", "time"):
            self.assertNotIn("units", found[name].attrs)

    def test_like_a_grid(self):
        x = xarray.DataArray(np.linspace(2, 8, 7, dtype=np.float32), dims="x", attrs={"a": 1})
        coords = {"x": x, "y": [0, 1], "z": [6.0, 5.75, 5.5], "t": [1]}
        grid = xarray.DataArray(np.zeros((7, 1, 2, 3)), coords, ("x", "t", "y", "z"))
        found = self.sampler.to_xarray(like=grid)
        self.assertEqual(found["energy"].dims, ("x", "y", "z"))
        self.assertTrue(found.indexes["x"].equals(grid.indexes["x"]))
        self.assertEqual(found["x"].attrs, {"a": 1})
        mesh = xarray.broadcast(*(grid[name].astype(float) for name in "xyz"))
        expected = self.sampler(tuple(np.ascontiguousarray(axis.values) for axis in mesh))
        for k, name in enumerate(("energy", "density")):
            np.testing.assert_allclose(found[name], expected[..., k], atol=1e-5)
        # Aligned: nothing gets lost in arithmetic.
        self.assertEqual((found["energy"] + grid).sizes["x"], 7)
        again = self.sampler.to_xarray(like=found)
        self.assertEqual(again["energy"].dims, ("z", "y", "x"))
        np.testing.assert_allclose(again["energy"].transpose("x", "y", "z"), found["energy"])

    def test_like_a_slice(self):
        grid = self.sampler.to_xarray((4, 5, 6))["energy"]
        found = self.sampler.to_xarray(like=grid.isel(z=2))
        self.assertEqual(found["energy"].dims, ("y", "x"))
        self.assertEqual(found["z"].ndim, 0)
        np.testing.assert_allclose(found["energy"], grid.isel(z=2), atol=1e-5)
        # Coordinates along dimensions of other names.
        other = grid.rename(x="i").drop_vars("i").assign_coords(x=("i", grid["x"].values))
        found = self.sampler.to_xarray(like=other)
        self.assertEqual(found["energy"].dims, ("z", "y", "i"))
        np.testing.assert_allclose(found["energy"], grid, atol=1e-5)

    def test_grids_that_are_none(self):
        grid = self.sampler.to_xarray((4, 5, 6))["energy"]
        uneven = grid.assign_coords(x=[0, 1, 2, 4.0])
        curved = grid.rename(x="i").assign_coords(x=(("y", "i"), np.zeros((5, 4))))
        along = xarray.DataArray(range(4), dims="p")
        line = grid.isel(x=along, y=along)
        metres = grid.assign_coords(x=grid["x"].assign_attrs(units="m"))
        cases = {
            "x is no regular axis: its coordinates are 1 to 2 apart": uneven,
            "expected a dimension of its own": curved,
            "x\\('p',\\).* expected a dimension of its own": line,
            "x of like is in 'm', that of the model in 'cm'": metres,
            "no coordinate 'x'; it has: ": grid.drop_vars("x"),
        }
        for message, like in cases.items():
            with self.assertRaisesRegex(drr.ArgumentError, message):
                self.sampler.to_xarray(like=like)
        with self.assertRaisesRegex(drr.ArgumentError, "either like"):
            self.sampler.to_xarray((4, 5, 6), like=grid)
        with self.assertRaisesRegex(TypeError, "expected a DataArray"):
            self.sampler.to_xarray(like=np.zeros((3, 3, 3)))
        nan = grid.assign_coords(x=[0, np.nan, 2, 3.0])
        with self.assertRaises(drr.ArgumentError):
            self.sampler.to_xarray(like=nan)


def opened(spec):
    return drr.open_memory(models.baked.write(spec, models.tensors_of(spec)))


if __name__ == "__main__":
    unittest.main()
