"""Derivatives are those of finite differences of the format's values."""

import unittest
from unittest import mock

import baked
import models
import numpy as np
from models import PARAMETERS

import drr
from drr import _results


class Derivatives(unittest.TestCase):
    def check(self, values):
        content = models.content(values)
        reference, step = baked.Reference(content), 1e-6
        points = np.clip(models.points(40), [0.1, -0.9, 5.05], [9.9, 1.9, 5.95])
        sampler = drr.open_memory(content).at(PARAMETERS)
        found = sampler.gradient(points, parameters=True)
        shape = (40,) if values == 1 else (40, values)
        self.assertEqual(found.position.shape, (*shape, 3))
        self.assertEqual(found.parameters.shape, (*shape, 2))
        np.testing.assert_array_equal(found.values, sampler(points))
        for k in range(3):
            move = step * np.eye(3)[k]
            ends = (reference(points + sign * move, PARAMETERS) for sign in (1, -1))
            expected = np.subtract(*ends) / (2 * step)
            position = found.position[..., k].reshape(40, values)
            np.testing.assert_allclose(position, expected, rtol=1e-3, atol=1e-4)
        for k in range(2):
            move = step * np.eye(2)[k]
            ends = (reference(points, PARAMETERS + sign * move) for sign in (1, -1))
            expected = np.subtract(*ends) / (2 * step)
            parameters = found.parameters[..., k].reshape(40, values)
            np.testing.assert_allclose(parameters, expected, rtol=1e-3, atol=1e-4)

    def test_one_value(self):
        self.check(1)

    def test_two_values(self):
        self.check(2)

    def test_only_what_is_asked_for(self):
        sampler = drr.open(models.file(2)).at(PARAMETERS)
        points = models.points(12)
        whole = sampler.gradient(points, parameters=True)
        found = sampler.gradient(points, values=False)
        self.assertIsNone(found.values)
        self.assertIsNone(found.parameters)
        np.testing.assert_array_equal(found.position, whole.position)
        values, position, parameters = sampler.gradient(points, position=False, parameters=True)
        self.assertIsNone(position)
        np.testing.assert_array_equal(values, whole.values)
        np.testing.assert_array_equal(parameters, whole.parameters)

    def test_layouts_and_types(self):
        sampler = drr.open(models.file(2)).at(PARAMETERS)
        points = models.points(24)
        whole = sampler.gradient(points)
        found = sampler.gradient(np.asfortranarray(points.reshape(4, 6, 3)))
        np.testing.assert_array_equal(found.position, whole.position.reshape(4, 6, 2, 3))
        found = sampler.gradient(tuple(points.T), dtype=np.float32)
        np.testing.assert_array_equal(found.position, whole.position.astype(np.float32))
        self.assertEqual(sampler.gradient(points[0]).position.shape, (2, 3))
        self.assertEqual(sampler.gradient(points[:0]).position.shape, (0, 2, 3))

    def test_into_arrays(self):
        sampler = drr.open(models.file(2)).at(PARAMETERS)
        points = models.points(24)
        whole = sampler.gradient(points, parameters=True)
        room = np.full((24, 2, 8), 7.0)
        found = sampler.gradient(points, room[..., 1:4], room[..., 5:7], room[..., 0])
        np.testing.assert_array_equal(room[..., 0], whole.values)
        np.testing.assert_array_equal(found.position, whole.position)
        np.testing.assert_array_equal(room[..., 5:7], whole.parameters)
        self.assertTrue((room[..., [4, 7]] == 7).all())
        # An array per derivative, or per value.
        nested = tuple(tuple(np.empty((3, 24), np.float32)) for _ in range(2))
        per_value = tuple(np.empty((2, 24, 2)))
        found = sampler.gradient(points, nested, per_value, values=False)
        self.assertIs(found.position, nested)
        for k in range(2):
            np.testing.assert_array_equal(per_value[k], whole.parameters[:, k])
            for c in range(3):
                expected = whole.position[:, k, c].astype(np.float32)
                np.testing.assert_array_equal(nested[k][c], expected)
        one = drr.open(models.file(1)).at(PARAMETERS)
        found = one.gradient(points, (np.empty(24), np.empty(24), np.empty(24)))
        np.testing.assert_array_equal(np.stack(found.position, -1), one.gradient(points).position)

    def test_lattices_are_their_points(self):
        sampler = drr.open(models.file(2)).at(PARAMETERS)
        dims, ranges = (5, 4, 3), {"z": (5.2, 5.8)}
        coords = sampler.lattice_coords(dims, ranges)
        points = tuple(reversed(np.meshgrid(*coords.values(), indexing="ij")))
        whole = sampler.gradient(points, parameters=True)
        found = sampler.lattice_gradient(dims, ranges, parameters=True, dtype=np.float64)
        for one, other in zip(found, whole):
            np.testing.assert_array_equal(one, other)
        self.assertEqual(sampler.lattice_gradient(dims).position.dtype, np.float32)
        # The inner part of an array with ghost cells, x first, and separate derivatives.
        ghosts = np.full((7, 6, 5, 2), 7.0)
        inner = ghosts[1:-1, 1:-1, 1:-1].transpose(2, 1, 0, 3)
        by = tuple(tuple(np.zeros((3, 3, 4, 6))[..., :5]) for _ in range(2))
        with mock.patch.object(_results.np, "empty", wraps=np.empty) as copied:
            found = sampler.lattice_gradient(dims, ranges, values=inner, position=by)
        self.assertFalse(copied.called)
        np.testing.assert_array_equal(inner, whole.values)
        np.testing.assert_array_equal(np.moveaxis(np.array(by), (0, 1), (3, 4)), whole.position)
        ghosts[1:-1, 1:-1, 1:-1] = 7
        self.assertTrue((ghosts == 7).all())


if __name__ == "__main__":
    unittest.main()
