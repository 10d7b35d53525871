"""What ParaView shows is what `drr-train query` writes, bit for bit."""

import itertools
import os
import subprocess
import unittest

import numpy as np
import support
from test_plugin import Case, values

from paraview import servermanager, simple

TRAIN = os.environ.get("DRR_TRAIN")


def query(file, parameters, *how):
    """What the command line gives, 32-bit numbers."""
    out = support.path("query.npy")
    with support.drr.open(file) as model:
        names = [parameter.name for parameter in model.parameters]
    given = ",".join(f"{name}={value!r}" for name, value in zip(names, parameters))
    command = [TRAIN, "query", file, "--params", given, "-o", out, *how]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return np.load(out)


def grid(dims):
    return "--grid", ",".join(map(str, reversed(dims)))


@unittest.skipUnless(TRAIN, "drr-train was not built")
class Query(Case):
    def same_bits(self, found, expected):
        expected = expected.ravel()
        self.assertEqual(found.dtype, np.float32)
        self.assertEqual(expected.dtype, np.float32)
        self.assertEqual(found.size, expected.size)
        different = found.view(np.uint32) != expected.view(np.uint32)
        self.assertEqual(different.sum(), 0, f"of {found.size} numbers")

    def test_a_sweep_of_images(self):
        source = simple.OpenDataFile(support.EXPLOSION)
        sizes = [(12, 11, 10), (64, 64, 64), (33, 47, 90), (70, 1, 2), (1, 1, 1)]
        sets = [(0.0, 1.0, 1), (14.0, 2.5, 5), (17.3, 3.777, 2), (36.0, 4.0, 3)]
        for dims, parameters in itertools.product(sizes, sets):
            source.Dimensions, source.Parameters = dims, parameters
            expected = query(support.EXPLOSION, parameters, *grid(dims))
            with self.subTest(dims=dims, parameters=parameters):
                self.same_bits(values(source, "disturbance"), expected)

    def test_extents(self):
        source = simple.OpenDataFile(support.EXPLOSION)
        source.Dimensions = dims = (40, 30, 50)
        source.Parameters = parameters = (21.7, 3.1, 5)
        whole = query(support.EXPLOSION, parameters, *grid(dims)).reshape(dims[::-1])
        for extent in ((0, 39, 0, 29, 7, 49), (3, 20, 11, 11, 0, 49), (39, 39, 29, 29, 48, 49)):
            source.SubExtent = extent
            part = whole[tuple(slice(a, b + 1) for a, b in np.reshape(extent, (3, 2))[::-1])]
            with self.subTest(extent=extent):
                self.same_bits(values(source, "disturbance"), part)

    def test_several_values_and_a_plane(self):
        for file, dims in ((support.TWO, (9, 8, 45)), (support.PLANE, (31, 17, 1))):
            source = simple.OpenDataFile(file)
            source.Dimensions, source.Parameters = dims, (2.7, 13.3)
            some = dims[: len(source.GetProperty("Domain")) // 2]
            expected = query(file, (2.7, 13.3), *grid(some))
            names = list(source.GetProperty("ValueNames"))
            for k, name in enumerate(names):
                with self.subTest(file=file, name=name):
                    self.same_bits(
                        values(source, name), expected.reshape(-1, len(names))[:, k].copy()
                    )

    def test_points_of_a_mesh(self):
        mesh = simple.AppendDatasets(Input=simple.Sphere(Center=(12, 9, 3), Radius=2))
        probe = simple.DRRProbe(Input=mesh, FileName=support.EXPLOSION)
        for parameters in ((14.0, 2.5, 5), (29.9, 1.01, 1)):
            probe.Parameters = parameters
            probe.UpdatePipeline()
            found = servermanager.Fetch(probe)
            points = [found.GetPoint(n) for n in range(found.GetNumberOfPoints())]
            np.save(support.path("points.npy"), np.array(points))
            expected = query(
                support.EXPLOSION, parameters, "--points", support.path("points.npy")
            )
            self.same_bits(support.arrays(found)["drr_disturbance"], expected)


if __name__ == "__main__":
    unittest.main()
