"""Derivatives are those of finite differences of the format's values."""

import unittest

import baked
import models
import numpy as np
from models import PARAMETERS

import drr


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


if __name__ == "__main__":
    unittest.main()
