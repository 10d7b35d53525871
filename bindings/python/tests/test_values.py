"""Values are those of docs/format.md, whatever model, type and policy."""

import unittest
from unittest import mock

import baked
import models
import numpy as np
from models import PARAMETERS

import drr
from drr import _inputs


class Values(unittest.TestCase):
    def test_values_are_those_of_the_format(self):
        for values in (1, 2):
            for dims in (2, 3):
                for grid in ("<f4", "<f2", "i1"):
                    with self.subTest(values=values, dims=dims, grid=grid):
                        content = models.content(values, dims, grid)
                        points = models.points(1000, dims)
                        expected = baked.Reference(content)(points, PARAMETERS)
                        with drr.open_memory(content) as model:
                            found = model.at(PARAMETERS)(points)
                        self.assertEqual(found.shape, (1000,) if values == 1 else (1000, 2))
                        self.assertEqual(found.dtype, np.float64)
                        np.testing.assert_allclose(
                            found.reshape(1000, values), expected, rtol=1e-5, atol=1e-5
                        )

    def test_one_axis(self):
        spec = models.box(1, 2)
        spec["axes"] = spec["axes"][:1]
        spec["grids"] = [{"axes": [0], "shape": [9], "channels": 4, "offset": 0}]
        content = baked.write(spec, models.tensors_of(spec))
        points = models.points(100, 1)
        expected = baked.Reference(content)(points, PARAMETERS)[:, 0]
        found = drr.open_memory(content).at(PARAMETERS)(points)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)

    def test_parameters_by_name_and_by_order_are_the_same(self):
        with drr.open(models.file()) as model:
            points = models.points(10)
            expected = model.at(PARAMETERS)(points)
            found = model.at({"speed": 17.0, "time": 1.3})(points)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(model.at(np.array(PARAMETERS))(points), expected)
            self.assertFalse(np.array_equal(model.at({"speed": 10, "time": 0})(points), expected))

    def test_normalized_units(self):
        with drr.open(models.file()) as model:
            low, high = np.array([[axis.min, axis.max] for axis in model.axes]).T
            points = models.points(50)
            ends = [(item.min, item.max) for item in model.parameters]
            parameters = [(p - a) / (b - a) for p, (a, b) in zip(PARAMETERS, ends)]
            found = model.at(parameters, units="normalized")(2 * (points - low) / (high - low) - 1)
            expected = model.at(PARAMETERS)(points)
            np.testing.assert_allclose(found * 5.5 - 3.5, expected, atol=1e-5)

    def test_policies_outside(self):
        outside = np.array([[-5.0, 0, 5.5], [1.0, 0, 5.5]])
        with drr.open(models.file()) as model:
            clamped = model.at(PARAMETERS)(outside)
            border = model.at(PARAMETERS)(np.array([[0, 0, 5.5], [1.0, 0, 5.5]]))
            np.testing.assert_array_equal(clamped, border)
            zeros = model.at(PARAMETERS, outside="zeros")(outside)
            self.assertNotEqual(zeros[0], clamped[0])
            nan = model.at(PARAMETERS, outside="nan")(outside)
            np.testing.assert_array_equal(np.isnan(nan), [True, False])
            out = np.full(2, 7.0)
            strict = model.at(PARAMETERS, outside="error")
            for points in (outside, tuple(outside.T)):
                with self.assertRaisesRegex(drr.OutsideDomainError, "point 0"):
                    strict(points)
                with self.assertRaisesRegex(drr.OutsideDomainError, "point 0"):
                    strict(points, out=out)
            np.testing.assert_array_equal(out, 7)
            with self.assertRaisesRegex(drr.OutsideDomainError, "time"):
                model.at((9, 15), outside_parameters="error")
            away = model.at((9, 15), outside_parameters="nan")
            self.assertTrue(np.isnan(away(outside)).all())

    def test_nan_points_give_nan(self):
        points = models.points(20)
        points[3, 1] = points[7, 0] = np.nan
        for outside in ("clamp", "zeros", "nan", "error"):
            inside = np.clip(points, [0, -1, 5], [10, 2, 6])
            with drr.open(models.file(2)) as model:
                found = model.at(PARAMETERS, outside=outside)(inside)
            expected = np.zeros((20, 2), bool)
            expected[[3, 7]] = True
            np.testing.assert_array_equal(np.isnan(found), expected)

    def test_storage_checksums_and_threads_change_nothing(self):
        points = models.points(20000, dtype=np.float32)
        expected = drr.open(models.file(2)).at(PARAMETERS)(points)
        for storage in ("mapped", "copied", "huge"):
            for checksums in ("verify", "skip"):
                with drr.open(str(models.file(2)), storage, checksums, threads=2) as model:
                    np.testing.assert_array_equal(model.at(PARAMETERS)(points), expected)


class ManyParameters(unittest.TestCase):
    def setUp(self):
        self.model = drr.open(models.file(2))
        random = np.random.default_rng(3)
        self.rows = np.array([0, 10]) + random.uniform(0, 1, (30, 2)) * [4, 10]
        self.points = models.points(30)

    def test_each_point_with_its_own(self):
        found = self.model.query(self.points, self.rows)
        expected = [self.model.at(p)(x) for x, p in zip(self.points, self.rows)]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        # Axes in another order in memory, rows backwards, other types.
        points = np.asfortranarray(self.points.reshape(5, 6, 3)[:, ::-1])
        rows = self.rows.reshape(5, 6, 2)[:, ::-1]
        other = self.model.query(points, rows, dtype=np.float32)
        np.testing.assert_allclose(other[:, ::-1].reshape(30, 2), found, rtol=1e-6)
        row = np.broadcast_to(self.rows[4], (30, 2))
        with mock.patch.object(_inputs.np, "array", wraps=np.array) as copied:
            one = self.model.query(self.points, row)
        self.assertFalse(copied.called)
        np.testing.assert_allclose(one, self.model.at(self.rows[4])(self.points), atol=1e-5)
        same = np.broadcast_to(12.0, (30, 2))
        one = self.model.query(self.points, same)
        np.testing.assert_array_equal(one, self.model.query(self.points, same.copy()))

    def test_sets_are_samplers_bit_by_bit(self):
        found = self.model.query_sets(self.points, self.rows)
        expected = np.array([self.model.at(p)(self.points) for p in self.rows])
        self.assertEqual(found.shape, (30, 30, 2))
        np.testing.assert_array_equal(found, expected)
        points = self.points.reshape(5, 6, 3).transpose(1, 0, 2)
        out = np.zeros((5, 6, 30, 2), np.float32).transpose(2, 1, 0, 3)
        self.assertIs(self.model.query_sets(points, self.rows, out=out), out)
        expected = expected.reshape(30, 5, 6, 2).transpose(0, 2, 1, 3).astype(np.float32)
        np.testing.assert_array_equal(out, expected)
        backwards = np.zeros((30, 30, 2))[::-1]
        self.model.query_sets(self.points, self.rows, out=backwards)
        np.testing.assert_array_equal(backwards, found)
        separate = np.zeros((30, 30)), np.zeros((30, 30))
        self.model.query_sets(self.points, self.rows, out=separate)
        np.testing.assert_array_equal(np.stack(separate, -1), found)

    def test_units_and_policies(self):
        low, high = np.array([[axis.min, axis.max] for axis in self.model.axes]).T
        points, rows = 2 * (self.points - low) / (high - low) - 1, (self.rows - [0, 10]) / [4, 10]
        options = {"units": "normalized", "outside": "nan"}
        found = self.model.query(points, rows, **options)
        expected = [self.model.at(p, **options)(x) for x, p in zip(points, rows)]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        self.assertTrue(0 < np.isnan(found).sum() < found.size)
        found = self.model.query_sets(points, rows, **options)
        expected = [self.model.at(p, **options)(points) for p in rows]
        np.testing.assert_array_equal(found, expected)
        with self.assertRaises(drr.OutsideDomainError):
            self.model.query(self.points + 99, self.rows, outside="error")

    def test_nothing_gives_nothing(self):
        self.assertEqual(self.model.query_sets(self.points, self.rows[:0]).shape, (0, 30, 2))
        self.assertEqual(self.model.query_sets(self.points[:0], self.rows).shape, (30, 0, 2))
        self.assertEqual(self.model.query(self.points[:0], self.rows[:0]).shape, (0, 2))
        self.assertEqual(self.model.query_sets(self.points[0], self.rows[:1]).shape, (1, 2))

    def test_models_without_parameters(self):
        spec = models.box(1)
        spec.update(parameters=[], lines=[])
        content = baked.write(spec, models.tensors_of(spec))
        with drr.open_memory(content) as model:
            expected = baked.Reference(content)(self.points, ())[:, 0]
            found = [
                model.at()(self.points),
                model.at({})(self.points),
                model.query(self.points, np.empty((30, 0))),
                model.query_sets(self.points, np.empty((2, 0)))[1],
            ]
            for values in found:
                np.testing.assert_allclose(values, expected, atol=1e-5)
            gradient = model.at().gradient(self.points, parameters=True)
            self.assertEqual(gradient.parameters.shape, (30, 0))

    def test_wrong_shapes(self):
        folded = self.rows.reshape(5, 6, 2)
        for rows in (self.rows[:29], self.rows[:, :1], self.rows[0], np.float64(1), folded):
            with self.assertRaises(drr.ArgumentError):
                self.model.query(self.points, rows)
        with self.assertRaisesRegex(drr.ArgumentError, r"\(sets, 2\)"):
            self.model.query_sets(self.points, self.rows[0])
        with self.assertRaisesRegex(drr.OutsideDomainError, "time"):
            self.model.query_sets(self.points, -self.rows, outside_parameters="error")


if __name__ == "__main__":
    unittest.main()
