"""The plugin in ParaView: files by their name, parameters, time, states, pictures, many ranks."""

import os
import shutil
import subprocess
import sys
import unittest

import numpy as np
import support
from paraview import servermanager, simple

simple.LoadPlugin(support.PLUGIN, ns=vars(simple))

LOUD = (14.0, 2.5, 5.0)


def values(source, name, cells=False):
    source.UpdatePipeline()
    return support.arrays(servermanager.Fetch(source), cells)[name]


def picture(name, view):
    path = str(support.PICTURES / f"{name}.png")
    simple.SaveScreenshot(path, view, ImageResolution=(480, 360))
    return support.pixels(path)


def empty_view():
    view = simple.CreateView("RenderView")
    view.ViewSize = (480, 360)
    view.UseColorPaletteForBackground = 0
    view.Background = (1, 1, 1)
    view.OrientationAxesVisibility = 0
    return view


def coloured(source, view, kind, name="disturbance"):
    display = simple.Show(source, view)
    display.SetRepresentationType(kind)
    simple.ColorBy(display, ("POINTS", name))
    table = simple.GetColorTransferFunction(name)
    table.RescaleTransferFunction(-0.1, 0.2)
    simple.GetOpacityTransferFunction(name).Points = [
        *(-0.1, 0.5, 0.5, 0.0), *(-0.01, 0.0, 0.5, 0.0), *(0.02, 0.0, 0.5, 0.0), *(0.2, 0.8, 0.5, 0.0)
    ]
    return display


def look(view):
    view.CameraPosition = (-8, -22, 16)
    view.CameraFocalPoint = (12, 9, 3)
    view.CameraViewUp = (0, 0, 1)
    view.CameraViewAngle = 28


class Case(unittest.TestCase):
    def setUp(self):
        simple.ResetSession()
        simple.LoadPlugin(support.PLUGIN, ns=vars(simple))

    def explosion(self, dims=(48, 48, 24)):
        source = simple.OpenDataFile(support.EXPLOSION)
        source.Parameters = LOUD
        source.Dimensions = dims
        return source


class Parameters(Case):
    def test_they_are_those_of_the_file(self):
        source = simple.OpenDataFile(support.EXPLOSION)
        self.assertEqual(source.GetXMLName(), "DRRReader")
        names = list(source.GetProperty("ParameterNames"))
        self.assertEqual(names, ["time", "strength", "variable"])
        ranges = list(source.GetProperty("ParameterRanges"))
        self.assertEqual(ranges, [0, 36, 1, 4, 1, 5])
        self.assertEqual(list(source.Parameters), [18, 2.5, 3])
        domain = source.SMProxy.GetProperty("Parameters").FindDomain("vtkSMDoubleRangeDomain")
        self.assertTrue(domain.GetMaximumExists(2) and not domain.GetMaximumExists(3))
        other = simple.OpenDataFile(support.TWO)
        self.assertEqual(list(other.GetProperty("ParameterUnits")), ["s", "m/s"])
        self.assertEqual(list(other.Parameters), [2, 15])

    def test_a_sweep_is_what_the_library_gives(self):
        source = self.explosion((12, 11, 10))
        for time in (0.0, 9.5, 36.0):
            source.Parameters = (time, 2.5, 5)
            expected = support.lattice(support.EXPLOSION, (time, 2.5, 5), (12, 11, 10))
            np.testing.assert_array_equal(values(source, "disturbance"), expected.ravel())
        source.Dimensions = (5, 4, 3)
        expected = support.lattice(support.EXPLOSION, (36, 2.5, 5), (5, 4, 3))
        np.testing.assert_array_equal(values(source, "disturbance"), expected.ravel())
        source.SubExtent = (1, 2, 0, 3, 2, 2)
        self.assertEqual(values(source, "disturbance").shape, (8,))

    def test_time(self):
        source = self.explosion((6, 5, 4))
        source.TimeParameter = "time"
        source.TimeSteps = 4
        source.UpdatePipelineInformation()
        self.assertEqual(list(source.TimestepValues), [0, 12, 24, 36])
        source.UpdatePipeline(time=12)
        found = support.arrays(servermanager.Fetch(source))["disturbance"]
        expected = support.lattice(support.EXPLOSION, (12, 2.5, 5), (6, 5, 4))
        np.testing.assert_array_equal(found, expected.ravel())

    def test_errors_leave_paraview_alive(self):
        script = support.path("errors.py")
        with open(script, "w") as file:
            file.write(
                "import sys; from paraview.simple import *\n"
                "plugin, good, bad = sys.argv[1:]\n"
                "LoadPlugin(plugin, ns=globals())\n"
                "DRRSurrogate(FileName=bad).UpdatePipeline()\n"
                "source = DRRSurrogate(FileName=good)\n"
                "for numbers in ([1], [99, 2, 5]):\n"
                "    source.Parameters = numbers; source.UpdatePipeline()\n"
                "probe = DRRProbe(Input=Wavelet(), FileName=bad); probe.UpdatePipeline()\n"
                "source.Parameters = [1, 2, 5]; source.UpdatePipeline()\n"
                "print('alive', source.PointData['disturbance'].GetNumberOfTuples())\n"
            )
        bad = support.path("cut.drr.safetensors")
        with open(support.EXPLOSION, "rb") as whole, open(bad, "wb") as cut:
            cut.write(whole.read(5000))
        command = ["pvpython", "--force-offscreen-rendering", script, support.PLUGIN]
        done = subprocess.run(
            [*command, support.EXPLOSION, bad], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        text = done.stdout.decode()
        self.assertEqual(done.returncode, 0, text)
        for expected in ("cut.drr.safetensors", "1 parameters were set", "time", "alive 262144"):
            self.assertIn(expected, text)


class Probe(Case):
    def test_an_unstructured_mesh(self):
        sphere = simple.Sphere(Center=(12, 9, 3), Radius=2)
        mesh = simple.AppendDatasets(Input=sphere)
        mesh.UpdatePipeline()
        self.assertEqual(mesh.GetDataInformation().GetDataSetTypeAsString(), "vtkUnstructuredGrid")
        probe = simple.DRRProbe(Input=mesh, FileName=support.EXPLOSION, Parameters=LOUD)
        probe.UpdatePipeline()
        found = servermanager.Fetch(probe)
        points = [found.GetPoint(n) for n in range(found.GetNumberOfPoints())]
        expected = support.query(support.EXPLOSION, LOUD, points)[:, 0]
        np.testing.assert_array_equal(support.arrays(found)["drr_disturbance"], expected)
        probe.Outside = "Clamp to the border"
        sphere.Center = (100, 0, 0)
        self.assertTrue(np.isfinite(values(probe, "drr_disturbance")).all())


class Pictures(Case):
    def check(self, name, view, show):
        """The picture shows something, and something else for other parameters."""
        source, change = show
        first = picture(name, view)
        white = np.all(first > 250, axis=-1).mean()
        self.assertTrue(0.1 < white < 0.95, f"{name}: {white:.0%} is background")
        source.Parameters = change
        second = picture(f"{name}_other", view)
        self.assertGreater((np.abs(first - second).max(axis=-1) > 20).mean(), 0.02, name)

    def test_slice(self):
        source, view = self.explosion(), empty_view()
        cut = simple.Slice(Input=source, SliceType="Plane")
        cut.SliceType.Normal = (0, 0, 1)
        cut.SliceType.Origin = (12, 9, 1.5)
        coloured(cut, view, "Surface")
        look(view)
        self.check("slice", view, (source, (26, 4, 5)))

    def test_contour(self):
        source, view = self.explosion(), empty_view()
        contour = simple.Contour(Input=source, ContourBy=["POINTS", "disturbance"])
        contour.Isosurfaces = [-0.03, 0.05]
        coloured(contour, view, "Surface")
        look(view)
        self.check("contour", view, (source, (26, 4, 5)))

    def test_volume(self):
        source, view = self.explosion(), empty_view()
        coloured(source, view, "Volume")
        look(view)
        self.check("volume", view, (source, (26, 4, 5)))

    def test_a_state_is_as_it_was(self):
        source, view = self.explosion(), empty_view()
        coloured(source, view, "Surface")
        look(view)
        before = picture("state", view)
        state = support.path("state.pvsm")
        simple.SaveState(state)
        simple.ResetSession()
        simple.LoadPlugin(support.PLUGIN, ns=vars(simple))
        simple.LoadState(state)
        (again,) = [s for s in simple.GetSources().values() if s.GetXMLName() == "DRRReader"]
        self.assertEqual(tuple(again.Parameters), LOUD)
        self.assertEqual(tuple(again.Dimensions), (48, 48, 24))
        after = picture("state_again", simple.GetActiveViewOrCreate("RenderView"))
        self.assertLess(np.abs(before - after).max(), 3)


class Ranks(unittest.TestCase):
    @unittest.skipUnless(shutil.which("mpirun"), "mpirun is not installed")
    def test_two_have_the_image_of_one(self):
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ranks.py")
        found, drawn = [], []
        for ranks in ("1", "2"):
            path = str(support.PICTURES / f"ranks_{ranks}.png")
            command = ["pvbatch", "--force-offscreen-rendering", script, support.PLUGIN]
            status, text = support.mpirun(ranks, *command, support.EXPLOSION, path)
            self.assertEqual(status, 0, text)
            (line,) = [line for line in text.splitlines() if line.startswith("found")]
            found.append(line.split()[1:])
            drawn.append(support.pixels(path))
        self.assertEqual([numbers[:2] for numbers in found], [["1", "50807"], ["2", "50807"]])
        one, two = (np.array(numbers[2:], float) for numbers in found)
        np.testing.assert_allclose(one, two, atol=1e-5)
        different = np.abs(drawn[0] - drawn[1]).max(axis=-1) > 8
        self.assertLess(different.mean(), 0.01)
        self.assertGreater(np.std(drawn[0]), 10)


if __name__ == "__main__":
    sys.exit(unittest.main())
