"""The example in situ: its numbers are those of the solver's own output, and it survives errors.

The solver's output is also the truth that ParaView shows beside the surrogate.
"""

import csv
import functools
import os
import unittest
from pathlib import Path

import numpy as np
import support

from paraview import simple

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


def simulate(name, ranks, *arguments, script=SCRIPT):
    folder = Path(support.path(name))
    folder.mkdir()
    return folder, *support.mpirun(ranks, PROGRAM, script, *arguments, folder=folder)


@functools.cache
def simulated(ranks):
    """A simulation until 36 ms, with three pictures."""
    return simulate(f"ranks{ranks}", ranks, support.PLUGIN, support.EXPLOSION, "3")


@unittest.skipUnless(PROGRAM, "the example in situ was not built")
class InSitu(unittest.TestCase):
    def test_numbers_and_pictures(self):
        rows, pictures = [], []
        for ranks in (1, 2):
            folder, status, text = simulated(ranks)
            self.assertEqual(status, 0, text)
            with open(folder / "comparison.csv") as table:
                lines = list(csv.DictReader(table))
            rows.append([{name: float(text) for name, text in line.items()} for line in lines])
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
            _, status, text = simulate(f"bad{n}", 1 + n % 2, *arguments, *more)
            self.assertEqual(status, 0, text)
            self.assertIn("no picture: the script failed", text)
            self.assertIn(expected, text)
            self.assertRegex(text, r"simulated \d+ steps")
        _, status, text = simulate(
            "script", 1, support.PLUGIN, support.EXPLOSION, "1", script="nothing.py"
        )
        self.assertEqual(status, 0, text)
        self.assertIn("the script nothing.py cannot be read", text)

    def test_or_ends_if_that_is_wanted(self):
        _, status, text = simulate(
            "must", 2, support.PLUGIN, support.EXPLOSION, "20", "9", "must"
        )
        self.assertNotEqual(status, 0, text)
        self.assertIn("explosion_in_situ: the script failed", text)
        self.assertNotIn("simulated", text)


@unittest.skipUnless(PROGRAM, "the example in situ was not built")
class SideBySide(unittest.TestCase):
    """A file of a simulation, the surrogate at its cells, and the difference, cut open."""

    def test_truth_surrogate_error(self):
        folder, status, text = simulated(1)
        self.assertEqual(status, 0, text)
        simple.ResetSession()
        simple.LoadPlugin(support.PLUGIN, ns=vars(simple))
        file = simple.OpenDataFile(str(folder / "truth.vtk"))
        truth = simple.Calculator(
            Input=file,
            AttributeType="Cell Data",
            ResultArrayName="disturbance",
            Function=f"(pressure - {PRESSURE}) / {UNIT}",
        )
        probe = simple.DRRProbe(
            Input=truth, FileName=support.EXPLOSION, Association="Cells", Parameters=(36, 2.5, 5)
        )
        inside = simple.Threshold(
            Input=probe,
            Scalars=["CELLS", "drr_disturbance"],
            LowerThreshold=-1e30,
            UpperThreshold=1e30,
        )
        half = simple.Clip(Input=inside, ClipType="Plane")
        half.ClipType.Origin, half.ClipType.Normal = (12, 9, 3), (0, -1, 0)
        layout = simple.CreateLayout()
        layout.SetSize(1200, 400)
        views = [self.view(half, name) for name in ("", "drr_", "error")]
        right = layout.SplitHorizontal(0, 1 / 3)
        places = right, layout.SplitHorizontal(right + 1, 1 / 2)
        for view, place in zip(views, (places[0], places[1], places[1] + 1)):
            layout.AssignView(place, view)
        path = str(support.PICTURES / "side_by_side.png")
        simple.SaveScreenshot(path, layout, ImageResolution=(1200, 400))
        self.check(support.pixels(path))

    def view(self, source, name):
        title = {"": "truth", "drr_": "surrogate"}.get(name, name)
        array = "drr_disturbance_error" if name == "error" else f"{name}disturbance"
        view = simple.CreateView("RenderView")
        view.UseColorPaletteForBackground, view.Background = 0, (1, 1, 1)
        view.OrientationAxesVisibility = 0
        display = simple.Show(source, view)
        simple.ColorBy(display, ("CELLS", array))
        display.Ambient, display.Diffuse = 0.6, 0.4
        table = simple.GetColorTransferFunction(array)
        table.ApplyPreset("Cool to Warm (Extended)", True)
        table.RescaleTransferFunction(-0.08, 0.08)
        caption = simple.Show(simple.Text(Text=title), view)
        caption.Color, caption.FontSize = (0, 0, 0), 22
        if name == "error":
            bar = simple.GetScalarBar(table, view)
            bar.Title, bar.ComponentTitle, bar.Visibility = "disturbance", "", 1
            bar.TitleColor = bar.LabelColor = (0, 0, 0)
            bar.WindowLocation, bar.Orientation = "Any Location", "Horizontal"
            bar.Position, bar.ScalarBarLength = (0.2, 0.03), 0.6
            bar.TitleFontSize = bar.LabelFontSize = 12
        view.CameraPosition, view.CameraFocalPoint = (6, -12, 14), (12.2, 11, 1.6)
        view.CameraViewUp, view.CameraViewAngle = (0, 0, 1), 30
        return view

    def check(self, image):
        truth, surrogate, error = (image[:, 400 * k : 400 * k + 390] for k in range(3))
        colour = [float(np.ptp(panel, axis=-1).mean()) for panel in (truth, surrogate, error)]
        self.assertGreater(min(colour[:2]), 3)
        self.assertLess(abs(colour[0] - colour[1]), 0.2 * colour[0])
        self.assertLess(colour[2], colour[0] / 2)


if __name__ == "__main__":
    unittest.main()
