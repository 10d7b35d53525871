"""The VTK module without ParaView's server manager: pipeline, extents, derivatives, errors."""

import sys
import unittest

import numpy as np
import support

sys.path.insert(0, support.os.environ["DRR_VTK"] + "/python3.11/site-packages")
from drr_vtk.vtkDRR import vtkDRRProbe, vtkDRRReader  # noqa: E402
from vtkmodules.vtkCommonCore import (  # noqa: E402
    vtkDataArray,
    vtkDoubleArray,
    vtkPoints,
    vtkUnsignedCharArray,
)
from vtkmodules.vtkCommonDataModel import (  # noqa: E402
    vtkDataSetAttributes,
    vtkUnstructuredGrid,
)
from vtkmodules.vtkFiltersCore import vtkPointDataToCellData  # noqa: E402
from vtkmodules.vtkImagingCore import vtkRTAnalyticSource  # noqa: E402

PARAMETERS = support.models.PARAMETERS


class Messages(list):
    """What an object reports, in place of the screen."""

    def __init__(self, source, event="ErrorEvent"):
        def take(_, __, text):
            self.append(text)

        take.CallDataType = "string0"
        source.AddObserver(event, take)
        source.GetExecutive().AddObserver(event, lambda *_: None)


def set_up(source, file=support.TWO, parameters=PARAMETERS):
    source.SetFileName(file)
    for index, value in enumerate(parameters):
        source.SetParameter(index, value)
    return source


def cloud(points):
    """A mesh of vertices."""
    places, grid = vtkPoints(), vtkUnstructuredGrid()
    places.SetDataTypeToDouble()
    for point in points:
        places.InsertNextPoint(*point)
    grid.SetPoints(places)
    for n in range(len(points)):
        grid.InsertNextCell(1, 1, [n])
    return grid


class Reader(unittest.TestCase):
    def test_values_are_those_of_the_library(self):
        reader = set_up(vtkDRRReader())
        dims = (7, 6, 5)
        reader.SetDimensions(*dims)
        reader.Update()
        image = reader.GetOutput()
        self.assertEqual(image.GetDimensions(), dims)
        np.testing.assert_allclose(image.GetBounds(), (0, 10, -1, 2, 5, 6))
        expected = support.lattice(support.TWO, PARAMETERS, dims)
        for k, name in enumerate(("energy", "density")):
            found = support.arrays(image)[name].reshape(dims[::-1])
            np.testing.assert_array_equal(found, expected[..., k])
        unit = image.GetPointData().GetArray("density").GetInformation()
        self.assertEqual(unit.Get(vtkDataArray.UNITS_LABEL()), "g/cm3")
        self.assertEqual(image.GetFieldData().GetArray("speed").GetValue(0), 17)

    def test_only_what_is_asked_for_is_computed(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(8, 9, 10)
        extent = (2, 5, 3, 3, 4, 8)
        reader.UpdateExtent(extent)
        image = reader.GetOutput()
        self.assertEqual(image.GetExtent(), extent)
        expected = support.lattice(support.TWO, PARAMETERS, (8, 9, 10), extent)
        np.testing.assert_array_equal(support.arrays(image)["energy"], expected[..., 0].ravel())

    def test_pieces_are_parts_of_the_whole(self):
        whole = set_up(vtkDRRReader())
        whole.SetDimensions(12, 11, 50)
        whole.Update()
        expected = support.arrays(whole.GetOutput())["energy"].reshape(50, 11, 12)
        covered = np.zeros(expected.shape, int)
        for piece in range(3):
            reader = set_up(vtkDRRReader())
            reader.SetDimensions(12, 11, 50)
            reader.UpdatePiece(piece, 3, 0)
            i, j, k = np.reshape(reader.GetOutput().GetExtent(), (3, 2)) + [0, 1]
            part = np.s_[slice(*k), slice(*j), slice(*i)]
            covered[part] += 1
            found = support.arrays(reader.GetOutput())["energy"].reshape(expected[part].shape)
            np.testing.assert_allclose(found, expected[part], atol=1e-5)
        self.assertTrue(np.all(covered >= 1) and covered.sum() < 2 * covered.size)

    def test_a_part_of_the_image(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(8, 8, 8)
        reader.SetSubExtent(1, 3, 0, -1, 5, 99)
        reader.Update()
        self.assertEqual(reader.GetOutput().GetExtent(), (1, 3, 0, 7, 5, 7))

    def test_cells(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(5, 4, 3)
        reader.SetAssociation(1)
        reader.Update()
        found = support.arrays(reader.GetOutput(), cells=True)["energy"]
        points = [
            ((i + 0.5) * 2.5, -1 + (j + 0.5), 5 + (k + 0.5) / 2)
            for k in range(2)
            for j in range(3)
            for i in range(4)
        ]
        expected = support.query(support.TWO, PARAMETERS, points)[:, 0]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    def test_a_plane(self):
        reader = set_up(vtkDRRReader(), support.PLANE)
        reader.SetDimensions(6, 5, 4)
        reader.Update()
        self.assertEqual(reader.GetOutput().GetDimensions(), (6, 5, 1))
        expected = support.lattice(support.PLANE, PARAMETERS, (6, 5))
        np.testing.assert_array_equal(
            support.arrays(reader.GetOutput())["energy"], expected.ravel()
        )

    def test_vector_and_derivatives(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(4, 5, 6)
        reader.VectorOn()
        reader.GradientOn()
        reader.SensitivitiesOn()
        reader.Update()
        found = support.arrays(reader.GetOutput())
        with support.drr.open(support.TWO) as model:
            result = model.at(PARAMETERS).lattice_gradient((4, 5, 6), parameters=True)
        shape = (6, 5, 4)
        for k, name in enumerate(("energy", "density")):
            slopes = found[f"{name}_gradient"].reshape(*shape, 3)
            np.testing.assert_allclose(slopes, result.position[..., k, :], rtol=1e-4, atol=1e-4)
            for p, parameter in enumerate(("time", "speed")):
                slopes = found[f"{name}_by_{parameter}"].reshape(shape)
                np.testing.assert_allclose(
                    slopes, result.parameters[..., k, p], rtol=1e-4, atol=1e-4
                )
            np.testing.assert_array_equal(found["values"][:, k], found[name])
        self.assertFalse(found["values"][:, 2].any())

    def test_interactive_is_coarser(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(33, 18, 2)
        reader.SetSubExtent(5, 20, 0, -1, 0, -1)
        reader.Update()
        whole = reader.GetOutput().GetBounds()
        reader.InteractiveOn()
        reader.Update()
        image = reader.GetOutput()
        # Of 9 x 5 x 2 points, those that cover the part.
        self.assertEqual(image.GetExtent(), (1, 5, 0, 4, 0, 1))
        coarse = image.GetBounds()
        self.assertTrue(coarse[0] <= whole[0] and coarse[1] >= whole[1])
        self.assertEqual(coarse[2:], whole[2:])
        expected = support.lattice(support.TWO, PARAMETERS, (9, 5, 2), image.GetExtent())
        np.testing.assert_array_equal(support.arrays(image)["energy"], expected[..., 0].ravel())
        for reduction in (0, 1):
            reader.SetInteractiveReduction(reduction)
            reader.Update()
            self.assertEqual(reader.GetOutput().GetBounds(), whole)

    def test_what_is_in_the_file(self):
        reader = set_up(vtkDRRReader())
        ranges = reader.GetValueRanges()
        self.assertEqual([ranges.GetValue(n) for n in range(4)], [-3.5, 2, np.exp(-1), np.exp(1)])

    def test_it_runs_again_only_when_something_changed(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(4, 4, 4)
        reader.Update()
        before = reader.GetOutput().GetMTime()
        reader.SetParameter(0, PARAMETERS[0])
        reader.Update()
        self.assertEqual(reader.GetOutput().GetMTime(), before)
        reader.SetParameter(0, 2)
        reader.Update()
        self.assertGreater(reader.GetOutput().GetMTime(), before)

    def test_it_can_be_stopped(self):
        reader = set_up(vtkDRRReader())
        progress = []

        def stop(source, _):
            progress.append(source.GetProgress())
            if 0 < source.GetProgress() < 1:
                source.SetAbortExecute(1)

        reader.AddObserver("ProgressEvent", stop)
        reader.Update()
        self.assertEqual(reader.GetOutput().GetNumberOfPoints(), 0)
        self.assertLess(len(progress), 6)

    def test_errors_are_reported(self):
        bad = support.path("bad.drr.safetensors")
        with open(bad, "wb") as file:
            file.write(b"no such thing" * 100)
        cases = [
            (lambda reader: reader.SetFileName(support.path("nowhere")), "nowhere"),
            (lambda reader: reader.SetFileName(bad), "bad.drr.safetensors"),
            (lambda reader: reader.SetFileName(None), "no FileName"),
            (lambda reader: (reader.ClearParameters(), reader.SetParameter(0, 1)), "1 parameters"),
            (lambda reader: reader.SetParameter(1, 25), "speed"),
            (lambda reader: reader.SetParameter(1, float("nan")), "speed was not set"),
            (lambda reader: reader.SetParameterByName("sped", 1), '"sped"'),
            (lambda reader: reader.SetTimeParameter("tide"), '"tide"'),
            (lambda reader: reader.SetDimensions(4, 0, 4), "Dimensions[1] is 0"),
            (lambda reader: reader.SetSubExtent(90, 99, 0, -1, 0, -1), "SubExtent is 90"),
        ]
        for change, expected in cases:
            reader = set_up(vtkDRRReader())
            messages = Messages(reader)
            change(reader)
            reader.Update()
            self.assertIn(expected, "".join(messages))
            image = reader.GetOutput()
            self.assertEqual(image.GetNumberOfPoints() if image else 0, 0)


class Probe(unittest.TestCase):
    def probe(self, mesh, **more):
        probe = set_up(vtkDRRProbe(), **more)
        probe.SetInputData(mesh)
        return probe

    def test_points_of_any_mesh(self):
        points = support.models.points(1000)
        points[7] = np.nan
        probe = self.probe(cloud(points))
        probe.Update()
        found = support.arrays(probe.GetOutput())
        expected = support.query(support.TWO, PARAMETERS, points)
        np.testing.assert_array_equal(found["drr_energy"], expected[:, 0])
        np.testing.assert_array_equal(found["drr_density"], expected[:, 1])
        self.assertTrue(np.isnan(found["drr_energy"][7]))
        self.assertTrue(10 < np.isnan(found["drr_energy"]).sum() < 900)

    def test_cells_and_the_error(self):
        source = set_up(vtkDRRReader(), parameters=(2.0, 11.0))
        source.SetDimensions(5, 5, 5)
        cells = vtkPointDataToCellData()
        cells.SetInputConnection(source.GetOutputPort())
        probe = set_up(vtkDRRProbe())
        probe.SetInputConnection(cells.GetOutputPort())
        probe.SetAssociation(1)
        probe.Update()
        found = support.arrays(probe.GetOutput(), cells=True)
        error = found["drr_energy"] - found["energy"]
        np.testing.assert_allclose(found["drr_energy_error"], error, atol=1e-6)
        rms = probe.GetOutput().GetFieldData().GetArray("drr_energy_error_rms").GetValue(0)
        self.assertAlmostEqual(rms, np.sqrt(np.mean(error**2)), places=5)
        self.assertGreater(rms, 0)
        count = probe.GetOutput().GetFieldData().GetArray("drr_energy_error_count").GetValue(0)
        self.assertEqual(count, 64)

    def test_what_others_have_counts_nowhere(self):
        points = [(1, 0, 5.2), (2, 0, 5.4), (3, 0, 5.6), (4, 0, 5.8)]
        mesh = cloud(points)
        truth, ghosts = vtkDoubleArray(), vtkUnsignedCharArray()
        truth.SetName("energy")
        ghosts.SetName(vtkDataSetAttributes.GhostArrayName())
        for n in range(4):
            truth.InsertNextValue(0)
        for kind in (0, vtkDataSetAttributes.DUPLICATEPOINT, vtkDataSetAttributes.HIDDENPOINT, 0):
            ghosts.InsertNextValue(kind)
        mesh.GetPointData().AddArray(truth)
        mesh.GetPointData().AddArray(ghosts)
        probe = self.probe(mesh)
        probe.Update()
        about = probe.GetOutput().GetFieldData()
        expected = support.query(support.TWO, PARAMETERS, [points[0], points[3]])[:, 0]
        rms = np.sqrt(np.mean(expected.astype(float) ** 2))
        self.assertEqual(about.GetArray("drr_energy_error_count").GetValue(0), 2)
        self.assertAlmostEqual(about.GetArray("drr_energy_error_rms").GetValue(0), rms, places=12)

    def test_outside(self):
        far = cloud([(100, 100, 100), (200, 100, 100)])
        probe = self.probe(far)
        warnings = Messages(probe, "WarningEvent")
        probe.Update()
        self.assertIn("outside of the domain: its x is 100 to 200", "".join(warnings))
        self.assertTrue(np.isnan(support.arrays(probe.GetOutput())["drr_energy"]).all())
        probe.SetOutside(0)
        probe.Update()
        self.assertTrue(np.isfinite(support.arrays(probe.GetOutput())["drr_energy"]).all())
        probe.SetOutside(3)
        errors = Messages(probe)
        probe.Update()
        self.assertIn("point 0", "".join(errors))
        self.assertEqual(probe.GetOutput().GetNumberOfPoints(), 0)

    def test_no_true_array(self):
        probe = self.probe(cloud([(1, 1, 5.5)]))
        probe.SetTrueArray("energie")
        errors = Messages(probe)
        probe.Update()
        self.assertIn('"energie"', "".join(errors))

    def test_time_is_that_of_the_input(self):
        reader = set_up(vtkDRRReader())
        reader.SetDimensions(4, 4, 4)
        reader.SetTimeParameter("time")
        reader.SetTimeSteps(5)
        probe = set_up(vtkDRRProbe(), parameters=(0.0, PARAMETERS[1]))
        probe.SetInputConnection(reader.GetOutputPort())
        probe.SetTimeParameter("time")
        probe.UpdateTimeStep(3.0)
        found = probe.GetOutput()
        self.assertEqual(found.GetFieldData().GetArray("time").GetValue(0), 3)
        self.assertLess(np.abs(support.arrays(found)["drr_energy_error"]).max(), 1e-5)

    def test_meshes_without_an_array_of_coordinates(self):
        wavelet = vtkRTAnalyticSource()
        wavelet.SetWholeExtent(0, 3, 0, 1, 5, 6)
        probe = set_up(vtkDRRProbe())
        probe.SetInputConnection(wavelet.GetOutputPort())
        probe.Update()
        mesh = probe.GetOutput()
        points = [mesh.GetPoint(n) for n in range(mesh.GetNumberOfPoints())]
        np.testing.assert_array_equal(
            support.arrays(mesh)["drr_energy"], support.query(support.TWO, PARAMETERS, points)[:, 0]
        )


if __name__ == "__main__":
    unittest.main()
