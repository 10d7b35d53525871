"""Pictures of the star in data/radiance, which fills the middle of a box from -1 to 1."""

import unittest
from pathlib import Path

import models
import numpy as np

import drr

STAR = Path(__file__).resolve().parents[3] / "data/radiance/star.drr.safetensors"

# From (0, -4, 0), along y: right, up, backward, position.
TO_WORLD = np.array([[1, 0, 0, 0], [0, 0, -1, -4], [0, 1, 0, 0.0]])
SIZE = (31, 22)


def rays():
    """The directions of that camera's rays, `(height, width, 3)`."""
    width, height = SIZE
    v, u = np.mgrid[:height, :width] + 0.5
    u, v = (u - width / 2) / 40, (v - height / 2) / 40
    return np.stack([u, np.ones_like(u), -v], axis=-1)


class Pictures(unittest.TestCase):
    def setUp(self):
        self.model = drr.open(STAR)
        self.sampler = self.model.at({"t": 0.5})

    def test_the_description_says_what_it_is(self):
        self.assertTrue(self.model.description.is_radiance)
        with drr.open_memory(models.content()) as other:
            self.assertFalse(other.description.is_radiance)

    def test_a_camera_and_its_rays_see_the_same(self):
        rgba, depth = self.sampler.render(TO_WORLD, 40, SIZE)
        self.assertEqual((rgba.shape, depth.shape), ((22, 31, 4), (22, 31)))
        self.assertTrue(rgba.dtype == depth.dtype == np.float32)
        self.assertGreater(rgba[11, 15, 3], 0.9)
        self.assertTrue(3 < depth[11, 15] < 5)
        self.assertEqual((rgba[0, 0, 3], depth[0, 0]), (0, np.inf))
        eye = np.broadcast_to(TO_WORLD[:, 3], (22, 31, 3))
        found = self.sampler.render_rays(eye, rays())
        np.testing.assert_array_equal(found.rgba, rgba)
        np.testing.assert_array_equal(found.depth, depth)
        square = np.vstack([TO_WORLD, [0, 0, 0, 1]])
        again = self.sampler.render(square, (40, 40), SIZE, centre=(15.5, 11))
        np.testing.assert_array_equal(again.rgba, rgba)

    def test_one_direction_for_all_rays(self):
        z, x = np.mgrid[-1:1:7j, -1:1:5j]
        origins = np.stack([x, np.full_like(x, -3), z], axis=-1)
        found = self.sampler.render_rays(origins, np.array([0, 2.0, 0]))
        every = self.sampler.render_rays(origins, np.broadcast_to([0, 2.0, 0], origins.shape))
        np.testing.assert_array_equal(found.rgba, every.rgba)
        self.assertEqual(found.depth.shape, (7, 5))

    def test_options(self):
        rgba, _ = self.sampler.render(TO_WORLD, 40, SIZE)
        opaque, _ = self.sampler.render(TO_WORLD, 40, SIZE, background=(0.25, 0.5, 1))
        expected = rgba[..., :3] + (1 - rgba[..., 3:]) * np.float32([0.25, 0.5, 1])
        np.testing.assert_allclose(opaque[..., :3], expected, atol=1e-6)
        self.assertTrue((opaque[..., 3] == 1).all())
        wall = np.full((22, 31), 2.5, np.float32)
        hidden = self.sampler.render(TO_WORLD, 40, SIZE, depth="along_axis", scene_depth=wall)
        self.assertFalse(hidden.rgba.any())
        np.testing.assert_allclose(hidden.depth, 2.5, rtol=1e-6)
        ended = self.sampler.render(TO_WORLD, 40, SIZE, ray_end=2.5, step=0.05, stop=0.01)
        self.assertFalse(ended.rgba.any())

    def test_points(self):
        points = np.array([[0, 0, 0], [0.1, 0.2, -0.1], [1.5, 0, 0]])
        below = self.sampler.radiance(points, [0, 0, -1.0])
        above = self.sampler.radiance(points, [0, 0, 3.0], dtype=np.float32)
        self.assertEqual(above.dtype, np.float32)
        np.testing.assert_allclose(below[:, 0], above[:, 0], rtol=1e-6)
        np.testing.assert_allclose(below[:2, 0], self.sampler(points)[:2, 0], rtol=1e-12)
        self.assertTrue((below[:2, 1:] > above[:2, 1:]).all())
        self.assertFalse(below[2].any())
        out = np.zeros((4, 3)).T
        self.assertIs(self.sampler.radiance(points, np.tile([0, 0, -1.0], (3, 1)), out), out)
        np.testing.assert_array_equal(out, below)

    def test_mistakes_are_errors(self):
        scene = np.zeros((3, 3), np.float32)
        for call in (
            lambda: self.sampler.render(np.eye(3), 40, SIZE),
            lambda: self.sampler.render(TO_WORLD, 0, SIZE),
            lambda: self.sampler.render(TO_WORLD * 0, 40, SIZE),
            lambda: self.sampler.render(TO_WORLD, 40, (-1, 4)),
            lambda: self.sampler.render(TO_WORLD, 40, SIZE, stop=0),
            lambda: self.sampler.render(TO_WORLD, 40, SIZE, depth="far"),
            lambda: self.sampler.render(TO_WORLD, 40, SIZE, scene_depth=scene),
            lambda: self.sampler.render(TO_WORLD, 40, SIZE, background=(1, 2)),
            lambda: self.sampler.render_rays(np.zeros((2, 3)), np.zeros((2, 3))),
            lambda: self.sampler.render_rays(np.zeros((2, 3)), np.ones((4, 3))),
            lambda: self.sampler.radiance(np.zeros((2, 3)), np.zeros(3)),
        ):
            self.assertRaises(drr.ArgumentError, call)
        with drr.open_memory(models.content()) as other:
            sampler = other.at(models.PARAMETERS)
            with self.assertRaisesRegex(drr.ArgumentError, "no radiance field"):
                sampler.render(TO_WORLD, 40, SIZE)


if __name__ == "__main__":
    unittest.main()
