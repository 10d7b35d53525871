"""The example in situ: its numbers are those of the solver's own output, and it survives errors."""

import csv
import os
import unittest
from pathlib import Path

import numpy as np
import support

PROGRAM = os.environ.get("DRR_IN_SITU")
SCRIPT = str(support.ROOT / "examples" / "insitu" / "compare.py")
# Of air at rest, and of disturbances: examples/euler/explosion.f90.
PRESSURE, UNIT = 0.1, 1.4 * 0.1


def cells(path):
    """The only field of a file by examples/euler/vtk.f90: values, and the cells' centres."""
    with open(path) as file:
        head, values = file.read().split("LOOKUP_TABLE default\n")
    words = dict(line.split(" ", 1) for line in head.splitlines()[3:])
    dims, origin, width = (
        np.array(words[name].split(), float) for name in ("DIMENSIONS", "ORIGIN", "SPACING")
    )
    axes = (origin[k] + (np.arange(dims[k] - 1) + 0.5) * width[k] for k in range(3))
    z, y, x = np.meshgrid(*reversed(list(axes)), indexing="ij")
    return np.array(values.split(), float), np.stack([x, y, z], axis=-1).reshape(-1, 3)


@unittest.skipUnless(PROGRAM, "the example in situ was not built")
class InSitu(unittest.TestCase):
    def simulate(self, name, ranks, *arguments, script=SCRIPT):
        folder = Path(support.path(name))
        folder.mkdir()
        return folder, *support.mpirun(ranks, PROGRAM, script, *arguments, folder=folder)

    def test_numbers_and_pictures(self):
        rows, pictures = [], []
        for ranks in (1, 2):
            folder, status, text = self.simulate(
                f"ranks{ranks}", ranks, support.PLUGIN, support.EXPLOSION, "3"
            )
            self.assertEqual(status, 0, text)
            with open(folder / "comparison.csv") as table:
                rows.append([{k: float(v) for k, v in row.items()} for row in csv.DictReader(table)])
            self.assertEqual([row["time"] for row in rows[-1]], [12, 24, 36], text)
            files = sorted(folder.glob("comparison_*.png"))
            self.assertEqual(len(files), 3, text)
            pictures.append([support.pixels(file) for file in files])
            kept = support.PICTURES / f"insitu_{ranks}_{files[1].name}"
            kept.write_bytes(files[1].read_bytes())
            self.check_last(folder / "truth.vtk", rows[-1][-1])
        for one, two in zip(*rows):
            for name in one:
                self.assertAlmostEqual(one[name], two[name], delta=1e-9 * one[name], msg=name)
        for one, two in zip(*pictures):
            self.check_picture(one)
            self.assertLess((np.abs(one - two).max(axis=-1) > 8).mean(), 0.005)

    def check_last(self, truth, row):
        """The same numbers from the solver's output and the C library."""
        pressure, centres = cells(truth)
        predicted = support.query(support.EXPLOSION, (36, 2.5, 5), centres)[:, 0]
        error = predicted - (pressure - PRESSURE) / UNIT
        error = error[np.isfinite(error)]
        rms = np.sqrt(np.mean(error**2))
        with support.drr.open(support.EXPLOSION) as model:
            peak = model.values[0].max - model.values[0].min
        self.assertEqual(error.size, row["cells"])
        self.assertAlmostEqual(rms, row["rms"], delta=1e-9)
        self.assertAlmostEqual(20 * np.log10(peak / rms), row["psnr"], delta=1e-4)

    def check_picture(self, image):
        """The surrogate is like the truth, the error is pale."""
        truth, surrogate, error = (image[80:380, x : x + 320] for x in (30, 382, 733))
        colour = [float(np.ptp(panel, axis=-1).mean()) for panel in (truth, surrogate, error)]
        self.assertGreater(min(colour[:2]), 15)
        self.assertLess(abs(colour[0] - colour[1]), 0.2 * colour[0])
        self.assertLess(colour[2], colour[0] / 2)
        self.assertLess(np.abs(truth - surrogate).mean(), 8)
        # The title, and the numbers of the colour bar.
        self.assertTrue((image[20:60, :500] < 50).any() and (image[80:380, 1100:] < 50).any())

    def test_the_solver_survives(self):
        far = Path(support.path("far.drr.safetensors"))
        spec = support.models.box(1)
        spec["parameters"][1].update(name="strength", min=1, max=4)
        spec["parameters"][0]["max"] = 36
        spec["axes"][0].update(min=100, max=110)
        far.write_bytes(support.models.baked.write(spec, support.models.tensors_of(spec)))
        cases = [
            ((support.PLUGIN, "nowhere"), "there is no surrogate nowhere"),
            ((support.PLUGIN, support.TWO), "depends on speed"),
            ((support.PLUGIN, str(far)), "no cell is in the surrogate's domain"),
            ((support.PLUGIN, support.EXPLOSION, "1", "9"), "strength is 9, expected 1 to 4"),
            (("nothing.so", support.EXPLOSION), "there is no plugin nothing.so"),
        ]
        for n, (arguments, expected) in enumerate(cases):
            more = ("1",) if len(arguments) == 2 else ()
            _, status, text = self.simulate(f"bad{n}", 1 + n % 2, *arguments, *more)
            self.assertEqual(status, 0, text)
            self.assertIn("no picture: the script failed", text)
            self.assertIn(expected, text)
            self.assertRegex(text, r"simulated \d+ steps")
        _, status, text = self.simulate(
            "script", 1, support.PLUGIN, support.EXPLOSION, "1", script="nothing.py"
        )
        self.assertEqual(status, 0, text)
        self.assertIn("the script nothing.py cannot be read", text)

    def test_or_ends_if_that_is_wanted(self):
        _, status, text = self.simulate(
            "must", 2, support.PLUGIN, support.EXPLOSION, "20", "9", "must"
        )
        self.assertNotEqual(status, 0, text)
        self.assertIn("explosion_in_situ: the script failed", text)
        self.assertNotIn("simulated", text)


if __name__ == "__main__":
    unittest.main()
